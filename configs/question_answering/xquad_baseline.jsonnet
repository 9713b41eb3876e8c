// The plain baseline of xquad_minilm.jsonnet: the same weights as a `transformer` encoder. Any checkpoint that `AutoModel`
// reads can stand for all-MiniLM-L6-v2.
//
//   export TRAIN_DATA_PATH=train.json VALIDATION_DATA_PATH=dev.json
//   allennlp train configs/question_answering/xquad_baseline.jsonnet -s runs/xquad_baseline
local qa = import "../lib/question_answering.libsonnet";
qa.small({ type: "transformer" })
