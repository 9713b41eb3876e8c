// conll2003_luke_base.jsonnet with many sentences in one window (README, "One window for many sentences"): another
// attention pattern from the same checkpoint, about six times fewer tokens to encode. Not the paper's setting.
//
//   export TRAIN_DATA_PATH=eng.train VALIDATION_DATA_PATH=eng.testa
//   allennlp train configs/ner/conll2003_luke_base_shared.jsonnet -s runs/conll2003_base_shared
//   allennlp evaluate runs/conll2003_base_shared/model.tar.gz eng.testb
local ner = import "../lib/ner.libsonnet";
ner.paper("studio-ousia/luke-base") + ner.shared
