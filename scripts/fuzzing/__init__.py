"""Damaged and hostile files for every loader of luke-tasks; `scripts/fuzz.py` runs them."""
