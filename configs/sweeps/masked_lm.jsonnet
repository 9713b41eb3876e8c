// The learning rate, batch size and epochs of training on texts of one's own, where the loss is what counts.
//
//   allennlp sweep configs/masked_lm/luke_base.jsonnet configs/sweeps/masked_lm.jsonnet -s sweeps/masked
local paper = import "lib/paper.libsonnet";
paper.space("loss", epochs=[2, 3], batches=[8, 16, 32], goal="minimize")
