// CoLA (Warstadt et al. 2019) as GLUE (Wang et al. 2019) gives it, with luke-base: is the sentence acceptable English;
// Matthews' correlation. Its files have no header, so their columns are named here.
//
//   export TRAIN_DATA_PATH=CoLA/train.tsv VALIDATION_DATA_PATH=CoLA/dev.tsv
//   allennlp train configs/sequence_classification/cola_luke_base.jsonnet -s runs/cola_luke_base
//
// Published: no score of LUKE on GLUE, in the paper or with the checkpoints; no spread over seeds is known.
local texts = import "../lib/texts.libsonnet";
texts.classification() + texts.published("studio-ousia/luke-base") + {
  dataset_reader+: { columns: ["source", "label", "mark", "sentence"], text: "sentence", max_sequence_length: 128 },
  trainer+: { validation_metric: "+matthews" },
}
