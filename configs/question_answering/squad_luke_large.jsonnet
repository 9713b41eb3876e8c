// SQuAD v1.1 (Rajpurkar et al. 2016) with luke-large, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=train-v1.1.json VALIDATION_DATA_PATH=dev-v1.1.json MENTION_CANDIDATES=train-dev-v1.1.json
//   allennlp train configs/question_answering/squad_luke_large.jsonnet -s runs/squad_luke_large
//   allennlp evaluate runs/squad_luke_large/model.tar.gz dev-v1.1.json --predictions-dir runs/squad_luke_large
//
// MENTION_CANDIDATES: see scripts/build_mention_candidates.py. Published: dev EM 89.8, F1 95.0; test EM 90.2, F1 95.4
// (paper, table 5; no spread over seeds is given).
local qa = import "../lib/question_answering.libsonnet";
qa.paper("studio-ousia/luke-large") + qa.linked(std.extVar("MENTION_CANDIDATES"))
