"""The commands, one a file. Each has a docstring (its help), `add_arguments(parser)` and `run(args) -> exit status`."""
