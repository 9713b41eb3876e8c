// What the configs of question answering share. AdamW spares biases and LayerNorm from weight decay, as all published
// settings do. Entities are left out, and their embeddings with them, unless `linked` brings mention candidates in.
{
  local no_decay = [[["bias", "LayerNorm.weight"], { weight_decay: 0 }]],

  local data = {
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
  },

  // LUKE, Yamada et al. 2020, appendix A.
  paper(pretrained):: data + {
    dataset_reader: { type: "transformers_squad", max_sequence_length: 512, stride: 128, max_query_length: 64 },
    model: {
      encoder: { type: "luke", pretrained: pretrained, use_entity_aware_attention: true, entities: "special" },
      head: { type: "transformers_qa" },
    },
    data_loader: { batch_size: 4, shuffle: true },
    trainer: {
      num_epochs: 2,
      num_gradient_accumulation_steps: 12,  // with batches of 4: 48 windows a step, as the paper
      optimizer: {
        type: "adamw",
        lr: 1.5e-5,
        betas: [0.9, 0.98],
        eps: 1e-6,
        weight_decay: 0.01,
        parameter_groups: no_decay,
      },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.06 },
      validation_metric: "+f1",
    },
  },

  // Wikipedia entities in question and context, from a file that names the mentions of each article.
  linked(mention_candidates):: {
    dataset_reader+: {
      wiki_entity_linker: { type: "json", mention_candidate_json_file_paths: { "en-en": mention_candidates } },
    },
    model+: { encoder+: { entities: "all" } },
  },

  // With the embedded model, in minutes on two cores.
  small(encoder):: data + {
    dataset_reader: { type: "transformers_squad", max_sequence_length: 384 },
    model: {
      encoder: encoder { pretrained: "embedded:minilm" },
      head: { type: "transformers_qa" },
    },
    data_loader: { batch_size: 8, shuffle: true, bucket: true },
    trainer: {
      num_epochs: 4,
      optimizer: { type: "adamw", lr: 2e-4, weight_decay: 0.01, parameter_groups: no_decay },
      learning_rate_scheduler: { type: "linear_with_warmup", warmup_ratio: 0.1 },
      grad_norm: 1.0,
      validation_metric: "+f1",
    },
  },
}
