// The learning rate, batch size, epochs and seed of relation classification, around the setting of LUKE (Yamada et al. 2020,
// appendix A: learning rate 1e-5, 32 texts a step, 5 epochs). The batch size is set by the accumulated batches of 4.
//
//   allennlp sweep configs/relation_classification/tacred_luke_large.jsonnet configs/sweeps/relation_classification.jsonnet \
//       -s sweeps/relations --retrain
local paper = import "lib/paper.libsonnet";
paper.space("micro_fscore", epochs=[3, 5], accumulated=[4, 8, 16])
