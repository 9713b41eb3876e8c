// ReCoRD (Zhang et al. 2018) with luke-base, in the setting of LUKE (Yamada et al. 2020,
// https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/record/record_luke_base.jsonnet -s runs/record_luke_base
//   allennlp evaluate runs/record_luke_base/model.tar.gz dev.json
//
// Published: the paper reports ReCoRD for luke-large only (dev exact match 90.8, F1 91.4, see record_luke_large.jsonnet); it
// gives no score and no spread over seeds for luke-base.
local record = import "../lib/record.libsonnet";
record.paper("studio-ousia/luke-base")
