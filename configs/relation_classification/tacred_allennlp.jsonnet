// TACRED (Zhang et al. 2017) with luke-large, in the setting of studio-ousia/luke's AllenNLP config: other than the paper's,
// Adam's usual betas and epsilon, and early stopping.
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/relation_classification/tacred_allennlp.jsonnet -s runs/tacred_allennlp
//   allennlp evaluate runs/tacred_allennlp/model.tar.gz test.json
//
// Published: no score for this setting; the paper's is 72.7 (test F1, see tacred_luke_large.jsonnet).
local mentions = import "../lib/mentions.libsonnet";
mentions.relations("tacred") + mentions.paper("studio-ousia/luke-large") + {
  dataset_reader+: { restore_brackets: false },  // -LRB- and the like as TACRED writes them, as there
  trainer+: {
    num_epochs: 5,
    num_gradient_accumulation_steps: 8,
    patience: 3,
    optimizer+: { betas: [0.9, 0.999], eps: 1e-8 },
  },
}
