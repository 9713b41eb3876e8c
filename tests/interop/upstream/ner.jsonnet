local shared = import "shared.libsonnet";
local features = if shared.is_luke then "token+entity" else "token";
shared.run(2, 5, 4, "+f1", 1e-5, { grad_norm: 5 }) + {
  dataset_reader: { type: "conll_span", iob_scheme: "iob2", encoding: "utf-8" }
                  + shared.tokenizer(false, { add_prefix_space: true }, false),
  model: {
    type: "span_ner",
    feature_extractor: { type: features, embedder: shared.embedder({ output_embeddings: "token+entity" }, {}) },
  },
}
