"""What suites give back: comparisons of ours with theirs, as a Markdown table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.timing import MATRIX, MatrixProduct, Times

THEIRS = "transformers"
_HEADER = ("case", "precision", "ours", "beside", "its figure", "ours / its", "range", "share of matrix rate",
           "its share", "amount", "difference")  # fmt: skip
_RIGHT = {"ours", "its figure", "ours / its", "range", "share of matrix rate", "its share", "amount", "difference"}


@dataclass(frozen=True)
class Table:
    """One table of a suite's results."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    records: Sequence[dict[str, Any]]  # the same as numbers
    right: frozenset[str] = frozenset()  # columns that are aligned to the right

    def markdown(self) -> str:
        """The table, without columns in which nothing stands."""
        used = [place for place in range(len(self.header)) if any(row[place] for row in self.rows)]
        rule = "".join("--:|" if self.header[place] in self.right else "---|" for place in used)
        lines = ["| " + " | ".join(row[place] for place in used) + " |" for row in (self.header, *self.rows)]
        return "\n".join([lines[0], "|" + rule, *lines[1:]])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One case: the same work done by ours and by another, in the same run. Less is better."""

    case: str
    ours: Sequence[float]  # seconds of each round, or megabytes
    theirs: Sequence[float]
    beside: str = THEIRS  # what `theirs` is
    precision: str = ""
    unit: str = "s"
    flops: float | None = None  # arithmetic of the model, see `flops.py`
    matrix_rate: float | None = None  # FLOP/s of the matrix product, in the same run
    amount: tuple[float, str] | None = None  # how much was done each time (in all parts), as (800, "words")
    difference: float | None = None  # the largest between both outputs; for predictions, how many are not the same
    their_own_difference: float | None = None  # between theirs in this precision and theirs in fp32
    predictions: int | None = None  # how many were compared
    scores: dict[str, Sequence[float]] = field(default_factory=dict)  # name → ours, theirs
    in_parts: bool = False  # the rounds are parts of one piece of work, and count together

    @property
    def ratio(self) -> float:
        """Of the medians; of the sums, where the rounds are parts."""
        return self.figure(self.ours) / self.figure(self.theirs)

    @property
    def ratios(self) -> list[float]:
        """Of each round."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def figure(self, rounds: Sequence[float]) -> float:
        """What the table shows of them."""
        return sum(rounds) if self.in_parts else statistics.median(rounds)

    def share(self, seconds: Sequence[float]) -> float | None:
        """Of the matrix rate."""
        if self.flops is None or self.matrix_rate is None:
            return None
        return self.flops / self.figure(seconds) / self.matrix_rate

    def record(self) -> dict[str, Any]:
        """For JSON: every number, rounds included."""
        amount = {"amount": self.amount[0], "amount_unit": self.amount[1]} if self.amount else {}
        return {
            "case": self.case, "precision": self.precision, "beside": self.beside, "unit": self.unit,
            "ours": list(self.ours), "theirs": list(self.theirs), "in_parts": self.in_parts,
            "ours_figure": self.figure(self.ours), "theirs_figure": self.figure(self.theirs), "ratio": self.ratio,
            "flops": self.flops, "matrix_rate": self.matrix_rate, "ours_share": self.share(self.ours),
            "theirs_share": self.share(self.theirs), "difference": self.difference,
            "their_own_difference": self.their_own_difference, "predictions": self.predictions,
            "scores": {name: list(pair) for name, pair in self.scores.items()}, **amount,
        }  # fmt: skip

    def row(self) -> list[str]:
        """For the table."""
        ours, theirs = self.figure(self.ours), self.figure(self.theirs)
        several = len(self.ours) > 1
        amount = ""
        if self.amount:
            count, what = self.amount
            amount = f"{_figure(count / ours)} / {_figure(count / theirs)} {what}/s"
        return [
            self.case, self.precision, _with_unit(ours, self.unit), self.beside, _with_unit(theirs, self.unit),
            f"{self.ratio:.2f}", f"{min(self.ratios):.2f} to {max(self.ratios):.2f}" if several else "",
            _percent(self.share(self.ours)), _percent(self.share(self.theirs)), amount, self._difference(),
        ]  # fmt: skip

    def _difference(self) -> str:
        if self.difference is None:
            return ""
        if self.predictions is not None:
            scores = [f"{name} {ours:.4f} / {theirs:.4f}" for name, (ours, theirs) in self.scores.items()]
            return ", ".join([f"{self.difference:.0f} of {self.predictions}", *scores])
        own = f" (its own {self.their_own_difference:.1e})" if self.their_own_difference else ""
        return f"{self.difference:.1e}{own}"


def comparison_table(rows: Sequence[Comparison]) -> Table:
    """The table of some comparisons."""
    return Table(_HEADER, [row.row() for row in rows], [row.record() for row in rows], frozenset(_RIGHT))


def matrix_rate(times: Times, product: MatrixProduct) -> float:
    """FLOP/s of the product that ran among the contenders under the name `MATRIX`."""
    return product.flops / statistics.median(times[MATRIX])


def _with_unit(value: float, unit: str) -> str:
    return f"{_figure(value)} {unit}"


def _figure(value: float) -> str:
    """Three figures that count, no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    decimals = next((decimals for bound, decimals in ((10, 1), (1, 2), (0.1, 3), (0.01, 4)) if value >= bound), 5)
    return f"{value:.{decimals}f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
