// A first sweep: the sample for entity typing with the embedded MiniLM, no hub, no GPU. Eight trials of three epochs.
// So short a search gains little by stopping bad trials early; the other spaces of this folder show
// `early_terminate`.
//
//   allennlp sweep configs/entity_typing/quickstart.jsonnet configs/sweeps/quickstart.jsonnet -s sweeps/quickstart --workers 2
{
  method: "bayes",
  metric: { name: "best_validation_micro_fscore", goal: "maximize" },
  run_cap: 8,
  parameters: {
    "trainer.optimizer.lr": { distribution: "log_uniform_values", min: 5e-5, max: 2e-3 },
    "data_loader.batch_size": { values: [8, 16, 32] },
    "trainer.num_epochs": { value: 3 },
  },
}
