// The learning rate, batch size, epochs and seed of question answering, around the setting of LUKE (Yamada et al. 2020,
// appendix A: learning rate 1.5e-5, 48 windows a step, 2 epochs). The batch size is set by the accumulated batches of 4.
//
//   allennlp sweep configs/question_answering/squad_luke_large.jsonnet configs/sweeps/question_answering.jsonnet \
//       -s sweeps/squad --retrain
local paper = import "lib/paper.libsonnet";
paper.space("f1", epochs=[2, 3], accumulated=[8, 12, 16])
