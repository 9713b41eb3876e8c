// What the configs on whole texts and on single words share. AdamW spares biases and LayerNorm from weight decay, as all
// published settings do.
{
  no_decay:: [[["bias", "LayerNorm.weight"], { weight_decay: 0 }]],
  local optimizer(lr) = { type: "adamw", lr: lr, weight_decay: 0.01, parameter_groups: $.no_decay },

  // Texts or pairs of texts. `problem_type` is said to the reader and to the head.
  classification(problem_type="single_label_classification"):: {
    dataset_reader: { type: "sequence_classification", problem_type: problem_type },
    model: { head: { type: "sequence_classification", problem_type: problem_type } },
  },

  // Words of CoNLL files.
  words:: {
    dataset_reader: { type: "conll_tokens" },
    model: { head: { type: "token_classification" } },
  },

  // One of several choices.
  choices:: {
    dataset_reader: { type: "multiple_choice" },
    model: { head: { type: "multiple_choice" } },
    trainer+: { validation_metric: "+accuracy" },
  },

  // Hidden words and entities of running text.
  masked:: {
    dataset_reader+: { type: "masked_text" },
    model+: { head: { type: "masked_lm" } },
    trainer+: {
      validation_metric: "-loss",
      optimizer+: { parameter_groups: [[["bias", "LayerNorm.weight", "layer_norm.weight"], { weight_decay: 0 }]] },
    },
  },

  // LUKE from a published checkpoint, in the usual setting of fine-tuning on GLUE (RoBERTa, Liu et al. 2019, appendix C):
  // the learning rate is one of theirs, {1e-5, 2e-5, 3e-5}, the batch one of {16, 32}.
  published(pretrained):: {
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
    model+: { encoder: { type: "luke", pretrained: pretrained, entities: "special" } },
    data_loader: { batch_size: 16, shuffle: true, bucket: true },
    trainer+: {
      num_epochs: 10,
      patience: 3,
      optimizer: optimizer(1e-5) { betas: [0.9, 0.98], eps: 1e-6 },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.06 },
    },
  },

  // The embedded model, in minutes on two cores.
  small(encoder):: {
    dataset_reader+: { max_sequence_length: 128 },
    model+: { encoder: encoder { pretrained: "embedded:minilm" } },
    data_loader: { batch_size: 16, shuffle: true, bucket: true },
    trainer+: {
      num_epochs: 2,
      optimizer: optimizer(2e-4),
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.1 },
      grad_norm: 1.0,
    },
  },
}
