// TACRED (Zhang et al. 2017) with luke-base, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/relation_classification/tacred_luke_base.jsonnet -s runs/tacred_luke_base
//   allennlp evaluate runs/tacred_luke_base/model.tar.gz test.json
//
// Published: the paper reports TACRED for luke-large only (test F1 72.7, see tacred_luke_large.jsonnet); it gives no score
// and no spread over seeds for luke-base.
local mentions = import "../lib/mentions.libsonnet";
mentions.relations("tacred") + mentions.paper("studio-ousia/luke-base") + {
  dataset_reader+: { restore_brackets: false },  // -LRB- and the like as TACRED writes them, as the paper's code
  trainer+: { num_epochs: 5, num_gradient_accumulation_steps: 8 },  // with batches of 4: 32 texts a step, as the paper
}
