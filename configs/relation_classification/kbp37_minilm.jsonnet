// KBP37 (Zhang and Wang 2015) with a LUKE started from all-MiniLM-L6-v2: no hub, no GPU.
//
//   export TRAIN_DATA_PATH=train.txt VALIDATION_DATA_PATH=dev.txt
//   allennlp train configs/relation_classification/kbp37_minilm.jsonnet -s runs/kbp37_minilm
//
// Its baseline is kbp37_baseline.jsonnet.
local mentions = import "../lib/mentions.libsonnet";
mentions.relations("kbp37") + mentions.small({ type: "luke" }, "entity")
