"""What the command line asks of every suite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Options:
    """See the help of `scripts/benchmark.py`; None leaves a number to the size or the suite."""

    folder: Path  # a temporary one, for checkpoints and data files
    size: str = "luke-base"
    device: Literal["cpu", "cuda"] = "cpu"
    precisions: tuple[Precision, ...] = PRECISIONS
    repeats: int = 5
    windows: int | None = None
    words: int | None = None
    entities: int | None = None
    batch_size: int | None = None
    max_tokens: int = 2048
    documents: int | None = None
    examples: int | None = None
    in_parts: bool = False
    records: int | None = None
    data: Path | None = None
    archive: Path | None = None
    pretrained: str = "embedded:minilm"
    only: str | None = None
    matrix_size: int | None = None

    @property
    def torch_device(self) -> torch.device:
        """As torch names it."""
        import torch

        return torch.device(self.device)
