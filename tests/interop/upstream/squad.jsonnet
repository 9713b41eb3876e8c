local shared = import "shared.libsonnet";
shared.run(2, 2, 16, "-loss", 2e-5, { grad_norm: 5.0 }) + {
  dataset_reader: {
    type: "transformers_squad",
    transformer_model_name: shared.checkpoint,
    skip_impossible_questions: false,
  } + (if !shared.is_luke then {} else {
         wiki_entity_linker: {
           type: "json",
           mention_candidate_json_file_paths: { "en-en": std.extVar("MENTION_CANDIDATES") },
           entity_vocab_path: shared.checkpoint,
         },
       }),
  validation_data_loader: { batch_size: 2, shuffle: false },
  model: {
    type: "transformers_qa",
    embedder: { type: "basic", token_embedders: { tokens: shared.embedder({}, {}) } },
  },
}
