// Open Entity (Choi et al. 2018), nine types, with luke-base, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=crowd/train.json VALIDATION_DATA_PATH=crowd/dev.json
//   allennlp train configs/entity_typing/open_entity_luke_base.jsonnet -s runs/open_entity_luke_base
//   allennlp evaluate runs/open_entity_luke_base/model.tar.gz crowd/test.json
//
// Published: the paper reports Open Entity for luke-large only (test micro F1 78.2, see open_entity_luke_large.jsonnet); it
// gives no score and no spread over seeds for luke-base.
local mentions = import "../lib/mentions.libsonnet";
mentions.entity_typing + mentions.paper("studio-ousia/luke-base") + { trainer+: { num_epochs: 3 } }
