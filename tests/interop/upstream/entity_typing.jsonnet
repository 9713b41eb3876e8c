local shared = import "shared.libsonnet";
local markers = { additional_special_tokens: ["<ent>"] };
shared.run(4, 3, 1, "+micro_fscore", 1e-5, {}, { betas: [0.9, 0.98], eps: 1e-6 }) + {
  dataset_reader: { type: "entity_typing" } + shared.tokenizer(true, markers, true),
  model: {
    type: "entity_typing",
    feature_extractor:
      { embedder: shared.embedder({ output_embeddings: "entity" }, { tokenizer_kwargs: markers }) }
      + (if shared.is_luke then { type: "entity" } else { type: "token", feature_type: "entity_start" }),
  },
}
