// quickstart.jsonnet with all sentences of a document in one window (README, "One window for many sentences"). Against
// quickstart_document.jsonnet: scripts/measure_scores.py ner_sample.
//
//   allennlp train configs/ner/quickstart_shared.jsonnet -s runs/quickstart_shared
(import "quickstart.jsonnet") + {
  dataset_reader+: { context: "shared", max_sequence_length: 256 },
  data_loader+: { batch_size: 1 },  // a window holds about as many sentences as a batch of quickstart.jsonnet
}
