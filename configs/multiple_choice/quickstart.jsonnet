// A small LUKE, started from all-MiniLM-L6-v2, on the project's own sample of situations. No hub, no GPU.
//
//   allennlp train configs/multiple_choice/quickstart.jsonnet -s runs/choices
//   allennlp evaluate runs/choices/model.tar.gz data/multiple_choice/test.jsonl
local texts = import "../lib/texts.libsonnet";
texts.choices + texts.small({ type: "luke" }) + {
  train_data_path: "data/multiple_choice/train.jsonl",
  validation_data_path: "data/multiple_choice/valid.jsonl",
}
