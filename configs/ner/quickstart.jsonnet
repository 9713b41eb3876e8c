// A small LUKE, started from all-MiniLM-L6-v2, on the project's own NER sample. No hub, no GPU.
//
//   allennlp train configs/ner/quickstart.jsonnet -s runs/quickstart
{
  dataset_reader: { type: "conll_span", context: "sentence", max_sequence_length: 128, max_mention_length: 6 },
  train_data_path: "data/ner/train.txt",
  validation_data_path: "data/ner/valid.txt",
  model: {
    encoder: { type: "luke", pretrained: "embedded:minilm", dropout: 0.0 },
    head: { type: "ner", features: "token+entity" },
  },
  data_loader: { batch_size: 8, shuffle: true, bucket: true },
  trainer: {
    num_epochs: 2,
    optimizer: {
      type: "adamw",
      lr: 2e-4,
      weight_decay: 0.01,
      parameter_groups: [[["bias", "LayerNorm.weight"], { weight_decay: 0 }]],
    },
    learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.1 },
    grad_norm: 1.0,
    validation_metric: "+f1",
  },
}
