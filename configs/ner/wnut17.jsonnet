// WNUT-17 (Derczynski et al. 2017) with a LUKE started from all-MiniLM-L6-v2: no hub, no GPU.
//
//   export TRAIN_DATA_PATH=wnut17/train.conll VALIDATION_DATA_PATH=wnut17/dev.conll
//   allennlp train configs/ner/wnut17.jsonnet -s runs/wnut17
//
// Measured scores over seeds, beside wnut17_baseline.jsonnet: README, "Results"; both by scripts/measure_scores.py wnut17.
local ner = import "../lib/ner.libsonnet";
ner.wnut17({ type: "luke" }, "token+entity")
