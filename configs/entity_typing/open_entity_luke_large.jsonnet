// Open Entity (Choi et al. 2018), nine types, with luke-large, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=crowd/train.json VALIDATION_DATA_PATH=crowd/dev.json
//   allennlp train configs/entity_typing/open_entity_luke_large.jsonnet -s runs/open_entity_luke_large
//   allennlp evaluate runs/open_entity_luke_large/model.tar.gz crowd/test.json
//
// Published: test micro precision 79.9, recall 76.6, F1 78.2 (paper, table 1; no spread over seeds is given). The AllenNLP
// config of studio-ousia/luke has the same settings.
local mentions = import "../lib/mentions.libsonnet";
mentions.entity_typing + mentions.paper("studio-ousia/luke-large") + { trainer+: { num_epochs: 3 } }
