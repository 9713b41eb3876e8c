// A small LUKE, started from all-MiniLM-L6-v2, on the project's own sample of cloze questions. No hub, no GPU.
//
//   allennlp train configs/record/quickstart.jsonnet -s runs/record
//   allennlp evaluate runs/record/model.tar.gz data/record/test.json
local record = import "../lib/record.libsonnet";
record.small({ type: "luke" }, "entity") + {
  train_data_path: "data/record/train.json",
  validation_data_path: "data/record/valid.json",
}
