"""Sweeps: from a search space to a retrained best model. `luke_tasks.sweep` is the function, `sweep` the command."""
