// XQuAD (Artetxe et al. 2020), or other data in SQuAD's form, with a LUKE started from all-MiniLM-L6-v2: no hub, no GPU.
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/question_answering/xquad_minilm.jsonnet -s runs/xquad_minilm
//
// Its baseline is xquad_baseline.jsonnet.
local qa = import "../lib/question_answering.libsonnet";
qa.small({ type: "luke" })
