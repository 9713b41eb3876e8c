local shared = import "shared.libsonnet";
local markers = { additional_special_tokens: ["<ent>", "<ent2>"] };
shared.run(4, 5, 8, "+micro_fscore", 1e-5) + {
  dataset_reader: { type: "relation_classification", dataset: std.extVar("DATASET") }
                  + shared.tokenizer(true, markers, true),
  model: {
    type: "relation_classifier",
    feature_extractor:
      { embedder: shared.embedder({ output_embeddings: "entity" }, { tokenizer_kwargs: markers }) }
      + (if shared.is_luke then { type: "entity" } else { type: "token", feature_type: "entity_start" }),
  },
}
