// The learning rate, batch size and seed of text classification: the ranges usual on GLUE (RoBERTa, Liu et al. 2019,
// appendix C: learning rate 1e-5 to 3e-5, batches of 16 or 32, 10 epochs).
//
//   allennlp sweep configs/sequence_classification/sst2_luke_base.jsonnet configs/sweeps/sequence_classification.jsonnet \
//       -s sweeps/sst2 --retrain
local paper = import "lib/paper.libsonnet";
paper.space("accuracy", epochs=[10], batches=[16, 32])
