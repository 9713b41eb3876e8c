// The plain baseline of quickstart.jsonnet: the same weights as a `transformer` encoder. Any checkpoint that `AutoModel`
// reads can stand for all-MiniLM-L6-v2.
//
//   allennlp train configs/token_classification/baseline.jsonnet -s runs/tags_baseline
local texts = import "../lib/texts.libsonnet";
texts.words + texts.small({ type: "transformer" }) + {
  train_data_path: "data/ner/train.txt",
  validation_data_path: "data/ner/valid.txt",
  trainer+: { validation_metric: "+f1" },
}
