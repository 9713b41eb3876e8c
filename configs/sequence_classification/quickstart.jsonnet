// A small LUKE, started from all-MiniLM-L6-v2, on the project's own sample of reviews. No hub, no GPU.
//
//   allennlp train configs/sequence_classification/quickstart.jsonnet -s runs/reviews
//   allennlp evaluate runs/reviews/model.tar.gz data/sequence_classification/test.tsv
local texts = import "../lib/texts.libsonnet";
texts.classification() + texts.small({ type: "luke" }) + {
  train_data_path: "data/sequence_classification/train.tsv",
  validation_data_path: "data/sequence_classification/valid.tsv",
  trainer+: { validation_metric: "+accuracy" },
}
