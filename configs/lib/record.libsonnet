// What the configs of ReCoRD share. AdamW spares biases and LayerNorm from weight decay, as all published settings do.
{
  local no_decay = [[["bias", "LayerNorm.weight"], { weight_decay: 0 }]],

  // LUKE, Yamada et al. 2020, section 4.4 and appendix A.
  paper(pretrained):: {
    dataset_reader: {
      type: "record",
      max_sequence_length: 512,
      stride: 128,
      max_query_length: 90,
      max_mention_length: 30,
    },
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
    model: {
      encoder: { type: "luke", pretrained: pretrained, use_entity_aware_attention: true, entities: "special" },
      head: { type: "entity_span_qa", features: "entity" },
    },
    data_loader: { batch_size: 1, shuffle: true },
    validation_data_loader: { batch_size: 32 },
    trainer: {
      num_epochs: 2,
      // With batches of 1: 32 windows a step, each counting alike however many candidates it has, as in the published
      // code. Batches of 8 and 4 accumulations are faster, and count each candidate alike.
      num_gradient_accumulation_steps: 32,
      optimizer: {
        type: "adamw",
        lr: 1e-5,
        betas: [0.9, 0.98],
        eps: 1e-6,
        weight_decay: 0.01,
        parameter_groups: no_decay,
      },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.06 },
      validation_metric: "+exact_match",
    },
  },

  // With the embedded model.
  small(encoder, features):: {
    dataset_reader: { type: "record" },
    model: {
      encoder: encoder { pretrained: "embedded:minilm" },
      head: { type: "entity_span_qa", features: features },
    },
    data_loader: { batch_size: 16, shuffle: true, bucket: true },
    trainer: {
      num_epochs: 4,
      optimizer: { type: "adamw", lr: 2e-4, weight_decay: 0.01, parameter_groups: no_decay },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.1 },
      grad_norm: 1.0,
      validation_metric: "+exact_match",
    },
  },
}
