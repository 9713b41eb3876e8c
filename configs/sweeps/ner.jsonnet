// The learning rate, batch size, epochs and seed of named entity recognition, around the setting of LUKE (Yamada et al. 2020,
// appendix A: learning rate 1e-5, 8 windows a step, 5 epochs). The batch size is set by the accumulated batches of 2.
//
//   allennlp sweep configs/ner/conll2003_luke_large.jsonnet configs/sweeps/ner.jsonnet -s sweeps/ner --retrain
local paper = import "lib/paper.libsonnet";
paper.space("f1", epochs=[3, 5], accumulated=[2, 4, 8])
