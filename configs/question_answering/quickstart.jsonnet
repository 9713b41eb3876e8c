// A small LUKE, started from all-MiniLM-L6-v2, on the project's own sample for question answering. No hub, no GPU.
//
//   allennlp train configs/question_answering/quickstart.jsonnet -s runs/qa
//   allennlp evaluate runs/qa/model.tar.gz data/question_answering/test.json --predictions-dir runs/qa/predictions
local qa = import "../lib/question_answering.libsonnet";
qa.small({ type: "luke" }) + {
  dataset_reader+: { max_sequence_length: 128, stride: 32, max_query_length: 32 },
  train_data_path: "data/question_answering/train.json",
  validation_data_path: "data/question_answering/valid.json",
  trainer+: { num_epochs: 8, optimizer+: { lr: 3e-4 } },
}
