"""A run, or several beside one another, as one HTML page: curves, tables, the errors in their text."""
