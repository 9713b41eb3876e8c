// CoNLL-2003 with luke-large, in the setting of LUKE (Yamada et al. 2020, https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=eng.train VALIDATION_DATA_PATH=eng.testa
//   allennlp train configs/ner/conll2003_luke_large.jsonnet -s runs/conll2003_large
//   allennlp evaluate runs/conll2003_large/model.tar.gz eng.testb
//
// Published: test F1 94.3 (paper, table 3; no spread over seeds is given). The authors' later evaluation code gives their
// checkpoint 94.6, from a small difference in preprocessing.
local ner = import "../lib/ner.libsonnet";
ner.paper("studio-ousia/luke-large")
