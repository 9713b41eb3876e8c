"""Prediction over many files or large ones, shard by shard, in this process or on Ray's workers.

from luke_tasks.bulk import RayOptions, predict_files
summary = predict_files("model.tar.gz", ["corpus/"], "predictions", ray=RayOptions(workers=2))
"""

from luke_tasks.bulk.ray_workers import RayOptions
from luke_tasks.bulk.run import Summary, predict_files

__all__ = ["RayOptions", "Summary", "predict_files"]
