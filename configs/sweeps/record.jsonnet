// The learning rate, batch size, epochs and seed of cloze question answering, around the setting of LUKE (Yamada et al. 2020,
// appendix A: learning rate 1e-5, 32 windows a step, 2 epochs). The batch size is set by the accumulated batches of 1.
//
//   allennlp sweep configs/record/record_luke_large.jsonnet configs/sweeps/record.jsonnet -s sweeps/record --retrain
local paper = import "lib/paper.libsonnet";
paper.space("exact_match", epochs=[2, 3], accumulated=[16, 32])
