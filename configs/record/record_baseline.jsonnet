// A plain baseline for ReCoRD: a `transformer` encoder, gap and candidates as the vectors of their word pieces. Any
// checkpoint that `AutoModel` reads can stand for all-MiniLM-L6-v2.
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/record/record_baseline.jsonnet -s runs/record_baseline
//   allennlp evaluate runs/record_baseline/model.tar.gz dev.json
//
// Published: none for this model. With data/record/train.json and valid.json it is the baseline of quickstart.jsonnet.
local record = import "../lib/record.libsonnet";
record.small({ type: "transformer" }, "token") + {
  train_data_path: std.extVar("TRAIN_DATA_PATH"),
  validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
}
