// SWAG (Zellers et al. 2018), four endings a sentence, with luke-base; accuracy. Batches count examples: 16 of them are 64
// windows.
//
//   export TRAIN_DATA_PATH=swagaf/data/train.csv VALIDATION_DATA_PATH=swagaf/data/val.csv
//   allennlp train configs/multiple_choice/swag_luke_base.jsonnet -s runs/swag_luke_base
//
// Published: no score of LUKE on SWAG, and no spread over seeds.
local texts = import "../lib/texts.libsonnet";
texts.choices + texts.published("studio-ousia/luke-base") + {
  dataset_reader+: { max_sequence_length: 128 },
  trainer+: { num_epochs: 3 },
}
