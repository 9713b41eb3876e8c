"""luke-tasks: AllenNLP's way of working, alive on today's torch, for the LUKE model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luke_tasks.predictor import Predictor, load
    from luke_tasks.sweeps.sweep import sweep

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__", "load", "sweep"]


def __getattr__(name: str) -> Any:
    """Import the Python API on first use: `import luke_tasks` alone stays light (no torch)."""
    if name in ("load", "Predictor"):
        from luke_tasks import predictor

        return getattr(predictor, name)
    if name == "sweep":
        from luke_tasks.sweeps.sweep import sweep

        return sweep
    raise AttributeError(f"module 'luke_tasks' has no attribute {name!r}")
