// The learning rate, batch size and seed of tagging words, in the ranges of sequence_classification.jsonnet.
//
//   allennlp sweep configs/token_classification/conll2003_luke_base.jsonnet configs/sweeps/token_classification.jsonnet \
//       -s sweeps/tags --retrain
local paper = import "lib/paper.libsonnet";
paper.space("f1", epochs=[10], batches=[16, 32])
