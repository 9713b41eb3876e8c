// SQuAD v1.1 (Rajpurkar et al. 2016) with luke-base, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=train-v1.1.json VALIDATION_DATA_PATH=dev-v1.1.json MENTION_CANDIDATES=train-dev-v1.1.json
//   allennlp train configs/question_answering/squad_luke_base.jsonnet -s runs/squad_luke_base
//   allennlp evaluate runs/squad_luke_base/model.tar.gz dev-v1.1.json --predictions-dir runs/squad_luke_base
//
// MENTION_CANDIDATES: see scripts/build_mention_candidates.py. Published: the paper reports SQuAD for luke-large only (dev
// EM 89.8, F1 95.0, see squad_luke_large.jsonnet); it gives no score and no spread over seeds for luke-base.
local qa = import "../lib/question_answering.libsonnet";
qa.paper("studio-ousia/luke-base") + qa.linked(std.extVar("MENTION_CANDIDATES"))
