// What the configs of entity typing and relation classification share: tasks on one or two marked entities of a text.
// AdamW spares biases and LayerNorm from weight decay, as all published settings do.
{
  local no_decay = [[["bias", "LayerNorm.weight"], { weight_decay: 0 }]],

  entity_typing:: {
    dataset_reader: { type: "entity_typing" },
    model: { head: { type: "entity_typing" } },
  },

  relations(dataset):: {
    dataset_reader: { type: "relation_classification", dataset: dataset },
    model: { head: { type: "relation_classifier" } },
  },

  // LUKE, Yamada et al. 2020, appendix A.
  paper(pretrained):: {
    dataset_reader+: { max_sequence_length: 512 },
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
    model+: {
      encoder: { type: "luke", pretrained: pretrained, use_entity_aware_attention: true, entities: "special" },
      head+: { features: "entity" },
    },
    data_loader: { batch_size: 4, shuffle: true },
    trainer: {
      optimizer: {
        type: "adamw",
        lr: 1e-5,
        betas: [0.9, 0.98],
        eps: 1e-6,
        weight_decay: 0.01,
        parameter_groups: no_decay,
      },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.06 },
      validation_metric: "+micro_fscore",
    },
  },

  // With the embedded model, in minutes on two cores.
  small(encoder, features):: {
    dataset_reader+: { max_sequence_length: 128 },
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
    model+: {
      encoder: encoder { pretrained: "embedded:minilm" },
      head+: { features: features },
    },
    data_loader: { batch_size: 16, shuffle: true, bucket: true },
    trainer: {
      num_epochs: 6,
      optimizer: { type: "adamw", lr: 2e-4, weight_decay: 0.01, parameter_groups: no_decay },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.1 },
      grad_norm: 1.0,
      validation_metric: "+micro_fscore",
    },
  },
}
