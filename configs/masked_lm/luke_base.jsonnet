// luke-base trained further on texts of one's own, words and entities hidden as in LUKE's pretraining (Yamada et al. 2020,
// section 3.3 and appendix A: 15 % of both, AdamW, β 0.9 / 0.98, ε 1e-6, weight decay 0.01; the rest is for texts that are
// few). All entities are kept, as all may have to be found.
//
//   export TRAIN_DATA_PATH=texts/train.jsonl VALIDATION_DATA_PATH=texts/dev.jsonl
//   allennlp train configs/masked_lm/luke_base.jsonnet -s runs/masked_luke_base
//   echo '{"text": "<mask> is in France.", "entities": [[0, 6]]}' | allennlp predict runs/masked_luke_base/model.tar.gz -
//
// Published: no score of the pretraining task, and no spread over seeds.
local texts = import "../lib/texts.libsonnet";
texts.published("studio-ousia/luke-base") + texts.masked + {
  dataset_reader+: { max_sequence_length: 512 },
  model+: { encoder+: { entities: "all" } },
  trainer+: { num_epochs: 3 },
}
