// SST-2 (Socher et al. 2013) as GLUE (Wang et al. 2019) gives it, with luke-base: one sentence, two classes, accuracy.
//
//   export TRAIN_DATA_PATH=SST-2/train.tsv VALIDATION_DATA_PATH=SST-2/dev.tsv
//   allennlp train configs/sequence_classification/sst2_luke_base.jsonnet -s runs/sst2_luke_base
//
// Published: no score of LUKE on GLUE, in the paper or with the checkpoints; no spread over seeds is known.
local texts = import "../lib/texts.libsonnet";
texts.classification() + texts.published("studio-ousia/luke-base") + {
  dataset_reader+: { text: "sentence", max_sequence_length: 128 },
  trainer+: { validation_metric: "+accuracy" },
}
