// quickstart.jsonnet with each sentence amid its document: what quickstart_shared.jsonnet is measured against.
//
//   allennlp train configs/ner/quickstart_document.jsonnet -s runs/quickstart_document
(import "quickstart.jsonnet") + {
  dataset_reader+: { context: "document", max_sequence_length: 256 },
}
