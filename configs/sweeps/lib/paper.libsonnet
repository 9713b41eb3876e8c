// What the spaces of all tasks share: Bayesian search over 24 trials, bad ones stopped after an epoch (of two or more).
//
// The metric is named as the wandb callback logs it, so that `wandb sweep` reads the same file.
{
  // `batches` are sizes of a batch, `accumulated` numbers of batches for one step; a config says one of them small enough
  // for its GPU, and the other is searched.
  space(score, epochs, batches=[], accumulated=[], goal="maximize"):: {
    method: "bayes",
    metric: { name: "best_validation_" + score, goal: goal },
    run_cap: 24,
    early_terminate: { type: "hyperband", min_iter: 1, eta: 2 },
    parameters: {
      "trainer.optimizer.lr": { distribution: "log_uniform_values", min: 1e-5, max: 5e-5 },
      "random_seed,numpy_seed,pytorch_seed": { values: [1, 2, 3, 4, 5] },
      "trainer.num_epochs": { values: epochs },
      [if batches != [] then "data_loader.batch_size"]: { values: batches },
      [if accumulated != [] then "trainer.num_gradient_accumulation_steps"]: { values: accumulated },
    },
  },
}
