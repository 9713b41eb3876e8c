// The plain baseline of quickstart.jsonnet: the same weights as a `transformer` encoder, words only. Any checkpoint that
// `AutoModel` reads can stand for all-MiniLM-L6-v2; RoBERTa's and BERT's own decoders are used where it holds them.
//
//   allennlp train configs/masked_lm/baseline.jsonnet -s runs/masked_baseline
local texts = import "../lib/texts.libsonnet";
texts.small({ type: "transformer" }) + texts.masked + {
  train_data_path: "data/masked_lm/train.jsonl",
  validation_data_path: "data/masked_lm/valid.jsonl",
  trainer+: { num_epochs: 6 },
}
