// The keys that all configs of the original share. KIND is one of baseline, luke, entity_aware.
local checkpoint = std.extVar("TRANSFORMERS_MODEL_NAME");
local kind = std.extVar("KIND");
{
  kind:: kind,
  is_luke:: kind != "baseline",
  checkpoint:: checkpoint,
  // How a reader names its tokenizer. `kwargs` go to both sections where `both` says so.
  tokenizer(add_special_tokens, kwargs, both): {
    tokenizer: {
      type: "pretrained_transformer",
      model_name: checkpoint,
      add_special_tokens: add_special_tokens,
      tokenizer_kwargs: kwargs,
    },
    token_indexers: {
      tokens: { type: "pretrained_transformer", model_name: checkpoint } + (if both then { tokenizer_kwargs: kwargs } else {}),
    },
  } + (if kind != "baseline" then { use_entity_feature: true } else {}),
  embedder(luke_options, baseline_options):
    { model_name: checkpoint } + (
      if kind == "baseline" then { type: "pretrained_transformer" } + baseline_options
      else { type: "transformers-luke", use_entity_aware_attention: kind == "entity_aware" } + luke_options
    ),
  run(batch_size, epochs, accumulation, metric, lr, trainer_options={}, optimizer_options={}): {
    train_data_path: std.extVar("TRAIN_DATA_PATH"),
    validation_data_path: std.extVar("VALIDATION_DATA_PATH"),
    data_loader: { batch_size: batch_size, shuffle: true },
    trainer: {
      cuda_device: -1,
      num_epochs: epochs,
      patience: 3,
      num_gradient_accumulation_steps: accumulation,
      validation_metric: metric,
      checkpointer: { keep_most_recent_by_count: 1 },
      optimizer: {
        type: "adamw",
        lr: lr,
        weight_decay: 0.01,
        parameter_groups: [[["bias", "LayerNorm.weight"], { weight_decay: 0 }]],
      } + optimizer_options,
      learning_rate_scheduler: { type: "custom_linear_with_warmup", warmup_ratio: 0.06 },
    } + trainer_options,
    random_seed: 0,
    numpy_seed: 0,
    pytorch_seed: 0,
  },
}
