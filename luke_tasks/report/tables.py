"""Tables of labels: precision, recall and F1 of each, and which was taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from luke_tasks.mistakes.judging import Judged, Pair
from luke_tasks.pages.shell import table

_MOST_LABELS = 24  # of a confusion matrix; the rest are one
_OTHER, _NONE = "other labels", "none"


@dataclass(frozen=True)
class LabelScores:
    """Counts of one label. Scores are 0 where there is nothing to divide by."""

    label: str
    right: int
    predicted: int
    support: int  # how often it is gold

    @property
    def precision(self) -> float:
        """The share of the predictions that is right."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of the gold that is found."""
        return self.right / self.support if self.support else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        total = self.predicted + self.support
        return 2 * self.right / total if total else 0.0


def label_scores(pairs: Iterable[Pair]) -> list[LabelScores]:
    """The scores of each label, the most frequent gold label first."""
    counts = Counter(pairs)
    gold, predicted, right = Counter[str](), Counter[str](), Counter[str]()
    for (one, other), count in counts.items():
        if one is not None:
            gold[one] += count
        if other is not None:
            predicted[other] += count
        if one is not None and one == other:
            right[one] += count
    names = sorted({*gold, *predicted}, key=lambda name: (-gold[name], name))
    return [LabelScores(name, right[name], predicted[name], gold[name]) for name in names]


def label_table(judged: Sequence[Judged]) -> str:
    """Precision, recall, F1 and support of each label, and of all taken together."""
    scores = label_scores(pair for one in judged for pair in one.pairs)
    total = LabelScores(
        "all", *(sum(getattr(one, name) for one in scores) for name in ("right", "predicted", "support"))
    )
    rows = [[one.label, *(f"{value:.3f}" for value in (one.precision, one.recall, one.f1)), f"{one.support:,}",
             f"{one.predicted:,}", f"{one.right:,}"] for one in [*scores, total]]  # fmt: skip
    header = ["label", "precision", "recall", "F1", "support", "predicted", "right"]
    return table(header, rows, numbers=range(1, 7))


def compared_f1(runs: Sequence[tuple[str, Sequence[Judged]]]) -> str:
    """F1 of each label in several runs, side by side."""
    of_runs = [{one.label: one for one in label_scores(pair for item in judged for pair in item.pairs)}
               for _, judged in runs]  # fmt: skip
    names = list(dict.fromkeys(name for scores in of_runs for name in scores))
    rows = []
    for name in names:
        support = max(scores[name].support if name in scores else 0 for scores in of_runs)
        rows.append([name, *(f"{scores[name].f1:.3f}" if name in scores else "" for scores in of_runs), f"{support:,}"])
    return table(["F1 of", *(name for name, _ in runs), "support"], rows, numbers=range(1, len(runs) + 2))


def confusion_matrix(judged: Sequence[Judged]) -> str:
    """Rows: gold; columns: predicted; `none` where one of them has nothing. Shaded by the share of its row."""
    counts = Counter(pair for one in judged for pair in one.pairs)
    frequent = Counter[str]()
    for pair, count in counts.items():
        frequent.update({name: count for name in set(pair) if name is not None})
    kept = sorted(name for name, _ in frequent.most_common(_MOST_LABELS))
    known = set(kept)

    def shown(name: str | None) -> str:
        return _NONE if name is None else name if name in known else _OTHER

    cells = Counter[tuple[str, str]]()
    for (gold, predicted), count in counts.items():
        cells[shown(gold), shown(predicted)] += count
    more = [name for name in (_OTHER, _NONE) if any(name in pair for pair in cells)]
    names = kept + more
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    rows = []
    for gold in names:
        total = sum(cells[gold, predicted] for predicted in names)
        rows.append(f'<tr><th scope="row">{escape(gold)}</th>' + "".join(
            _cell(cells[gold, predicted], total, gold, predicted) for predicted in names) + "</tr>")  # fmt: skip
    note = f"{len(frequent) - len(kept)} rarer labels are one row and column." if len(frequent) > len(kept) else ""
    return (f'<div class="scroll"><table class="matrix"><thead><tr><th>gold ↓ predicted →</th>{head}</tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table></div><p class="note">{note}</p>')  # fmt: skip


def _cell(count: int, total: int, gold: str, predicted: str) -> str:
    if gold == predicted == _NONE:
        return "<td></td>"
    share = count / total if total else 0.0
    colour = 140 if gold == predicted else 0
    shade = 0.14 if gold == _NONE else 0.08 + 0.6 * share  # of what is nowhere in the gold, shares mean little
    style = f' style="background:hsl({colour} 70% 45% / {shade:.2f})"' if count else ""
    title = f"gold {gold}, predicted {predicted}: {count:,} ({share:.0%} of the row)"
    return f'<td class="n"{style} title="{escape(title)}">{f"{count:,}" if count else "·"}</td>'
