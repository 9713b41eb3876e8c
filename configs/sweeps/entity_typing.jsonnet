// The learning rate, batch size, epochs and seed of entity typing, around the setting of LUKE (Yamada et al. 2020, appendix A:
// learning rate 1e-5, batches of 4, 3 epochs).
//
//   allennlp sweep configs/entity_typing/open_entity_luke_large.jsonnet configs/sweeps/entity_typing.jsonnet -s sweeps/typing --retrain
local paper = import "lib/paper.libsonnet";
paper.space("micro_fscore", epochs=[2, 3, 5], batches=[4, 8, 16])
