"""Times that can be compared: every contender runs in turn, round after round, in one process.

A machine's speed drifts (heat, neighbours, memory), so two times are compared only when they were taken side by side.
The machine's own matrix-product rate is one of the contenders; a time and the arithmetic behind it become a share of
that rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch

Times = dict[str, list[float]]  # contender → seconds of each round
MATRIX = "matrix product"
_SHORT_SECONDS = 0.2
_MATRIX_SECONDS = 0.03  # of one timed run of products, so that the clock's own steps do not matter
_MATRIX_SIZES = {"cpu": 2048, "cuda": 8192}


def interleave(
    contenders: Mapping[str, Callable[[], object]], *, repeats: int, device: torch.device, warm_up: int = 1,
    before_each: Callable[[], object] = lambda: None,
) -> Times:  # fmt: skip
    """Seconds of each call: ours, theirs, ours, theirs, ...

    Work that takes less than a fifth of a second is done once more just before it is timed: otherwise whatever ran
    before it, and emptied the caches, would have a part in its time.

    Args:
        contenders: by name, in the order they run.
        repeats: timed rounds.
        device: on a GPU the clock is read only when all work queued before is done.
        warm_up: rounds before them that are not timed.
        before_each: called before every call, not timed.
    """
    times: Times = {name: [] for name in contenders}
    short: set[str] = set()
    for number in range(warm_up + repeats):
        for name, run in contenders.items():
            if name in short:
                _seconds(run, before_each, device)
            seconds = _seconds(run, before_each, device)
            if number >= warm_up:
                times[name].append(seconds)
            elif seconds < _SHORT_SECONDS:
                short.add(name)
    return times


def _seconds(run: Callable[[], object], before: Callable[[], object], device: torch.device) -> float:
    before()
    synchronise(device)
    began = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - began


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class MatrixProduct:
    """Products of two square matrices: the rate that arithmetic on this machine can reach in practice.

    Args:
        dtype: of the matrices.
        size: their rows; by default 2048 on a CPU, 8192 on a GPU.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device, size: int | None = None) -> None:
        size = size or _MATRIX_SIZES[device.type]
        generator = torch.Generator().manual_seed(0)
        self.left, self.right = (torch.randn(size, size, generator=generator).to(device, dtype) for _ in range(2))
        self.out = torch.empty_like(self.left)
        self.device = device
        self.count = 1
        self()
        synchronise(device)
        began = time.perf_counter()
        self()
        synchronise(device)
        self.count = max(1, round(_MATRIX_SECONDS / (time.perf_counter() - began)))

    def __call__(self) -> None:
        for _ in range(self.count):
            torch.mm(self.left, self.right, out=self.out)

    @property
    def flops(self) -> int:
        """Of one call: a multiplication and an addition for each of n³ pairs, a product."""
        return 2 * self.left.size(0) ** 3 * self.count
