// SQuAD v2.0 (Rajpurkar et al. 2018), with questions that have no answer, with luke-large in the setting of v1.1.
//
//   export TRAIN_DATA_PATH=train-v2.0.json VALIDATION_DATA_PATH=dev-v2.0.json
//   allennlp train configs/question_answering/squad_v2_luke_large.jsonnet -s runs/squad_v2
//   allennlp evaluate runs/squad_v2/model.tar.gz dev-v2.0.json --predictions-dir runs/squad_v2
//
// `best_f1_thresh` of the evaluation is the null_threshold to predict with: -o '{"model.head.null_threshold": ...}'.
// Published: no score; the LUKE paper does not report v2.0.
local qa = import "../lib/question_answering.libsonnet";
qa.paper("studio-ousia/luke-large") + { model+: { head+: { unanswerable: true } } }
