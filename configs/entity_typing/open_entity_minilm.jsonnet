// Open Entity (Choi et al. 2018), nine types, with a LUKE started from all-MiniLM-L6-v2: no hub, no GPU.
//
//   export TRAIN_DATA_PATH=crowd/train.json VALIDATION_DATA_PATH=crowd/dev.json
//   allennlp train configs/entity_typing/open_entity_minilm.jsonnet -s runs/open_entity_minilm
//
// Its baseline is open_entity_baseline.jsonnet.
local mentions = import "../lib/mentions.libsonnet";
mentions.entity_typing + mentions.small({ type: "luke" }, "entity") + {
  trainer+: { num_epochs: 3 },  // as the paper
}
