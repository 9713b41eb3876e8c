// WNUT-17 as in wnut17.jsonnet, each tweet amid its neighbours in windows of 512: the costly way to read documents,
// which wnut17_shared.jsonnet is measured against. (Neighbouring tweets have nothing to do with each other.)
//
//   export TRAIN_DATA_PATH=wnut17/train.conll VALIDATION_DATA_PATH=wnut17/dev.conll
//   allennlp train configs/ner/wnut17_document.jsonnet -s runs/wnut17_document
//
// Both by scripts/measure_scores.py wnut17_shared.
local ner = import "../lib/ner.libsonnet";
ner.wnut17({ type: "luke" }, "token+entity") + {
  dataset_reader+: { context: "document", max_sequence_length: 512 },
  data_loader+: { batch_size: 4 },
  trainer+: { num_gradient_accumulation_steps: 4 },  // with batches of 4: 16 windows a step, in a quarter of the memory
}
