// A small LUKE, started from all-MiniLM-L6-v2, on the project's own sample for entity typing. No hub, no GPU.
//
//   allennlp train configs/entity_typing/quickstart.jsonnet -s runs/typing
//   allennlp evaluate runs/typing/model.tar.gz data/entity_typing/test.jsonl
local mentions = import "../lib/mentions.libsonnet";
mentions.entity_typing + mentions.small({ type: "luke" }, "entity") + {
  train_data_path: "data/entity_typing/train.jsonl",
  validation_data_path: "data/entity_typing/valid.jsonl",
}
