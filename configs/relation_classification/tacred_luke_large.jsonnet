// TACRED (Zhang et al. 2017) with luke-large, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/relation_classification/tacred_luke_large.jsonnet -s runs/tacred_luke_large
//   allennlp evaluate runs/tacred_luke_large/model.tar.gz test.json
//
// Published: test F1 72.7, TACRED's official micro F1 (paper, table 2; no spread over seeds is given). Of the authors'
// released model, studio-ousia/luke reports accuracy 88.9, micro F1 72.7 and macro F1 58.9 on the test file.
local mentions = import "../lib/mentions.libsonnet";
mentions.relations("tacred") + mentions.paper("studio-ousia/luke-large") + {
  dataset_reader+: { restore_brackets: false },  // -LRB- and the like as TACRED writes them, as the paper's code
  trainer+: { num_epochs: 5, num_gradient_accumulation_steps: 8 },  // with batches of 4: 32 texts a step, as the paper
}
