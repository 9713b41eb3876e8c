// The plain baseline of wnut17.jsonnet: the same weights as a `transformer` encoder, spans as their first and last piece.
//
//   export TRAIN_DATA_PATH=wnut17/train.conll VALIDATION_DATA_PATH=wnut17/dev.conll
//   allennlp train configs/ner/wnut17_baseline.jsonnet -s runs/wnut17_baseline
//
// Measured scores over seeds: README, "Results"; made by scripts/measure_scores.py wnut17.
local ner = import "../lib/ner.libsonnet";
ner.wnut17({ type: "transformer" }, "token")
