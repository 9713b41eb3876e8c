"""A newcomer's data files: what they look like, which task they are for, and what a config for them says."""
