// CoNLL-2003 with luke-base, in the setting of LUKE (Yamada et al. 2020, https://aclanthology.org/2020.emnlp-main.523).
//
//   export TRAIN_DATA_PATH=eng.train VALIDATION_DATA_PATH=eng.testa
//   allennlp train configs/ner/conll2003_luke_base.jsonnet -s runs/conll2003_base
//   allennlp evaluate runs/conll2003_base/model.tar.gz eng.testb
//
// Published: test F1 93.3 (model card of studio-ousia/luke-base; no spread over seeds is given). The paper reports
// luke-large only (94.3, see conll2003_luke_large.jsonnet).
local ner = import "../lib/ner.libsonnet";
ner.paper("studio-ousia/luke-base")
