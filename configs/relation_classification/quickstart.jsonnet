// A small LUKE, started from all-MiniLM-L6-v2, on the project's own sample of relations. No hub, no GPU.
//
//   allennlp train configs/relation_classification/quickstart.jsonnet -s runs/relations
//   allennlp evaluate runs/relations/model.tar.gz data/relation_classification/test.jsonl
local mentions = import "../lib/mentions.libsonnet";
mentions.relations("jsonl") + mentions.small({ type: "luke" }, "entity") + {
  train_data_path: "data/relation_classification/train.jsonl",
  validation_data_path: "data/relation_classification/valid.jsonl",
}
