// A small LUKE, started from all-MiniLM-L6-v2, learns to fill hidden words on the project's own sample. No hub, no GPU. That
// checkpoint has no decoder, nor an entity vocabulary: expect little of so few texts. See luke_base.jsonnet for entities.
//
//   allennlp train configs/masked_lm/quickstart.jsonnet -s runs/masked
//   echo "Paris is the capital of <mask>." | allennlp predict runs/masked/model.tar.gz -
local texts = import "../lib/texts.libsonnet";
texts.small({ type: "luke" }) + texts.masked + {
  train_data_path: "data/masked_lm/train.jsonl",
  validation_data_path: "data/masked_lm/valid.jsonl",
  trainer+: { num_epochs: 6 },
}
