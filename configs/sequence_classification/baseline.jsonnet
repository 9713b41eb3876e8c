// The plain baseline of quickstart.jsonnet: the same weights as a `transformer` encoder. Any checkpoint that `AutoModel`
// reads can stand for all-MiniLM-L6-v2.
//
//   allennlp train configs/sequence_classification/baseline.jsonnet -s runs/reviews_baseline
local texts = import "../lib/texts.libsonnet";
texts.classification() + texts.small({ type: "transformer" }) + {
  train_data_path: "data/sequence_classification/train.tsv",
  validation_data_path: "data/sequence_classification/valid.tsv",
  trainer+: { validation_metric: "+accuracy" },
}
