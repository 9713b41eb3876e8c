// MultiNLI (Williams et al. 2018) as GLUE (Wang et al. 2019) gives it, with luke-base: pairs of sentences, three classes,
// accuracy.
//
//   export TRAIN_DATA_PATH=MNLI/train.tsv VALIDATION_DATA_PATH=MNLI/dev_matched.tsv
//   allennlp train configs/sequence_classification/mnli_luke_base.jsonnet -s runs/mnli_luke_base
//   allennlp evaluate runs/mnli_luke_base/model.tar.gz MNLI/dev_mismatched.tsv
//
// Published: no score of LUKE on GLUE, in the paper or with the checkpoints; no spread over seeds is known.
local texts = import "../lib/texts.libsonnet";
texts.classification() + texts.published("studio-ousia/luke-base") + {
  dataset_reader+: { text: "sentence1", text_pair: "sentence2", label: "gold_label", max_sequence_length: 128 },
  trainer+: { validation_metric: "+accuracy" },
}
