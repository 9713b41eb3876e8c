// The plain baseline of open_entity_minilm.jsonnet: the same weights as a `transformer` encoder, the mention as the vector
// of its opening marker. Any checkpoint that `AutoModel` reads can stand for all-MiniLM-L6-v2.
//
//   export TRAIN_DATA_PATH=crowd/train.json VALIDATION_DATA_PATH=crowd/dev.json
//   allennlp train configs/entity_typing/open_entity_baseline.jsonnet -s runs/open_entity_baseline
local mentions = import "../lib/mentions.libsonnet";
mentions.entity_typing + mentions.small({ type: "transformer" }, "token") + {
  trainer+: { num_epochs: 3 },  // as the paper
}
