// STS-B (Cer et al. 2017) as GLUE (Wang et al. 2019) gives it, with luke-base: how alike two sentences are, 0 to 5;
// Pearson's and Spearman's correlation.
//
//   export TRAIN_DATA_PATH=STS-B/train.tsv VALIDATION_DATA_PATH=STS-B/dev.tsv
//   allennlp train configs/sequence_classification/stsb_luke_base.jsonnet -s runs/stsb_luke_base
//
// Published: no score of LUKE on GLUE, in the paper or with the checkpoints; no spread over seeds is known.
local texts = import "../lib/texts.libsonnet";
texts.classification("regression") + texts.published("studio-ousia/luke-base") + {
  dataset_reader+: { text: "sentence1", text_pair: "sentence2", label: "score", max_sequence_length: 128 },
  trainer+: { validation_metric: "+pearson" },
}
