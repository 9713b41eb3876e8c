// What the NER configs share. AdamW spares biases and LayerNorm from weight decay, as all published settings do.
{
  no_decay:: [[["bias", "LayerNorm.weight"], { weight_decay: 0 }]],

  // LUKE, Yamada et al. 2020, appendix A: the settings of CoNLL-2003.
  paper(pretrained):: {
    dataset_reader: {
      type: "conll_span",
      max_sequence_length: 512,
      max_entity_length: 128,
      max_mention_length: 16,
    },
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
    model: {
      encoder: { type: "luke", pretrained: pretrained, use_entity_aware_attention: true, entities: "special" },
      head: { type: "ner", features: "token+entity" },
    },
    data_loader: { batch_size: 2, shuffle: true },
    trainer: {
      num_epochs: 5,
      num_gradient_accumulation_steps: 4,  // with batches of 2: 8 windows a step, as the paper
      optimizer: {
        type: "adamw",
        lr: 1e-5,
        betas: [0.9, 0.98],
        eps: 1e-6,
        weight_decay: 0.01,
        parameter_groups: $.no_decay,
      },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.06 },
      validation_metric: "+f1",
    },
  },

  // Many sentences in one window, laid over either of the others. A window holds about as many sentences as a step's
  // windows did, so a step is one window.
  shared:: {
    dataset_reader+: { context: "shared" },
    data_loader+: { batch_size: 1 },
    trainer+: { num_gradient_accumulation_steps: 1 },
  },

  // Tweets of WNUT-17 with the embedded model, in minutes on two cores.
  wnut17(encoder, features):: {
    dataset_reader: {
      type: "conll_span",
      context: "sentence",  // neighbouring tweets have nothing to do with each other
      max_sequence_length: 128,
      max_mention_length: 6,
    },
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
    model: { encoder: encoder { pretrained: "embedded:minilm" }, head: { type: "ner", features: features } },
    data_loader: { batch_size: 16, shuffle: true, bucket: true },
    trainer: {
      num_epochs: 2,
      optimizer: { type: "adamw", lr: 2e-4, weight_decay: 0.01, parameter_groups: $.no_decay },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.1 },
      grad_norm: 1.0,
      validation_metric: "+f1",
    },
  },
}
