// The plain baseline of quickstart.jsonnet: the same weights as a `transformer` encoder. Any checkpoint that `AutoModel`
// reads can stand for all-MiniLM-L6-v2.
//
//   allennlp train configs/multiple_choice/baseline.jsonnet -s runs/choices_baseline
local texts = import "../lib/texts.libsonnet";
texts.choices + texts.small({ type: "transformer" }) + {
  train_data_path: "data/multiple_choice/train.jsonl",
  validation_data_path: "data/multiple_choice/valid.jsonl",
}
