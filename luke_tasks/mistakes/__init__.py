"""What a model got wrong, of each task: examples beside their predictions, judged, and as rows of a table."""
