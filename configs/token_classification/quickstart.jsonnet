// A small LUKE, started from all-MiniLM-L6-v2, that tags the words of the project's own NER sample. No hub, no GPU. (To
// find entities, LUKE classifies spans: configs/ner/quickstart.jsonnet. This is the plain way, to compare.)
//
//   allennlp train configs/token_classification/quickstart.jsonnet -s runs/tags
//   allennlp evaluate runs/tags/model.tar.gz data/ner/test.txt
local texts = import "../lib/texts.libsonnet";
texts.words + texts.small({ type: "luke" }) + {
  train_data_path: "data/ner/train.txt",
  validation_data_path: "data/ner/valid.txt",
  trainer+: { validation_metric: "+f1" },
}
