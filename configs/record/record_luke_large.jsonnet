// ReCoRD (Zhang et al. 2018) with luke-large, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/record/record_luke_large.jsonnet -s runs/record_luke_large
//   allennlp evaluate runs/record_luke_large/model.tar.gz dev.json
//
// Published: dev exact match 90.8, F1 91.4; test exact match 90.6, F1 91.2 (paper, table 4; no spread over seeds is given).
// The test set is not public. `exact_match` and `f1` are between 0 and 1 here.
local record = import "../lib/record.libsonnet";
record.paper("studio-ousia/luke-large")
