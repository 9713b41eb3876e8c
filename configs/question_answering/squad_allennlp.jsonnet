// SQuAD v1.1 (Rajpurkar et al. 2016) with luke-large, in the setting of studio-ousia/luke's AllenNLP config: other than the
// paper's, windows of 384, lr 2e-5, 32 windows a step, clipping, Adam's usual betas and epsilon, early stopping by loss.
//
//   export TRAIN_DATA_PATH=train-v1.1.json VALIDATION_DATA_PATH=dev-v1.1.json
//   allennlp train configs/question_answering/squad_allennlp.jsonnet -s runs/squad_allennlp
//   allennlp evaluate runs/squad_allennlp/model.tar.gz dev-v1.1.json --predictions-dir runs/squad_allennlp
//
// Without entities, as that code finds none with LUKE's own vocabulary. Published: no score for this setting; the paper's
// is dev EM 89.8, F1 95.0 (see squad_luke_large.jsonnet).
local qa = import "../lib/question_answering.libsonnet";
qa.paper("studio-ousia/luke-large") + {
  dataset_reader+: { max_sequence_length: 384 },
  data_loader+: { batch_size: 2 },
  trainer+: {
    num_gradient_accumulation_steps: 16,
    patience: 3,
    grad_norm: 5,
    optimizer+: { lr: 2e-5, betas: [0.9, 0.999], eps: 1e-8 },
    validation_metric: "-loss",
  },
}
