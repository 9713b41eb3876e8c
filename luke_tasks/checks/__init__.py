"""What `check` and `count-instances` find out before a run: faults of the data, its sizes, what a run will cost."""
