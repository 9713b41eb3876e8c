// WNUT-17 as in wnut17_document.jsonnet, the tweets of a window read at once (README, "One window for many sentences").
//
//   export TRAIN_DATA_PATH=wnut17/train.conll VALIDATION_DATA_PATH=wnut17/dev.conll
//   allennlp train configs/ner/wnut17_shared.jsonnet -s runs/wnut17_shared
//
// Both by scripts/measure_scores.py wnut17_shared.
local ner = import "../lib/ner.libsonnet";
ner.wnut17({ type: "luke" }, "token+entity") + ner.shared + { dataset_reader+: { max_sequence_length: 512 } }
