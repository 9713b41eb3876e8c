// CoNLL-2003's entities (Tjong Kim Sang and De Meulder 2003) as tags of words, with luke-base; F1 of entities. For parts of
// speech: -o '{"dataset_reader.label_column": 2, "trainer.validation_metric": "+accuracy"}'.
//
//   export TRAIN_DATA_PATH=eng.train VALIDATION_DATA_PATH=eng.testa
//   allennlp train configs/token_classification/conll2003_luke_base.jsonnet -s runs/conll2003_tags_luke_base
//   allennlp evaluate runs/conll2003_tags_luke_base/model.tar.gz eng.testb
//
// Published: LUKE's scores are of classified spans (configs/ner/); there is none of this head, and no spread over seeds.
local texts = import "../lib/texts.libsonnet";
texts.words + texts.published("studio-ousia/luke-base") + {
  dataset_reader+: { context: "document", max_sequence_length: 512 },
  trainer+: { validation_metric: "+f1" },
}
