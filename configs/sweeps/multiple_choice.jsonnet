// The learning rate, batch size, epochs and seed of multiple choice.
//
//   allennlp sweep configs/multiple_choice/swag_luke_base.jsonnet configs/sweeps/multiple_choice.jsonnet \
//       -s sweeps/swag --retrain
local paper = import "lib/paper.libsonnet";
paper.space("accuracy", epochs=[3, 5], batches=[16, 32])
