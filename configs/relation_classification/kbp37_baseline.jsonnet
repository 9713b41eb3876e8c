// The plain baseline of kbp37_minilm.jsonnet: the same weights as a `transformer` encoder, head and tail as the vectors of
// their opening markers. Any checkpoint that `AutoModel` reads can stand for all-MiniLM-L6-v2.
//
//   export TRAIN_DATA_PATH=train.txt VALIDATION_DATA_PATH=dev.txt
//   allennlp train configs/relation_classification/kbp37_baseline.jsonnet -s runs/kbp37_baseline
local mentions = import "../lib/mentions.libsonnet";
mentions.relations("kbp37") + mentions.small({ type: "transformer" }, "token")
