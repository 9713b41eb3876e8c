"""Predictions that show themselves in a notebook, beside being what they are to code."""

from __future__ import annotations

from typing import Any, ClassVar

from luke_tasks.pages import predictions as page

_MOST = 50  # of a list


class Shown:
    """Base of the predictions of a task. Adds no field: equality, `repr` and JSON are the subclass's own.

    Its subclasses have `to_json()` and name their reader's `task`.
    """

    task: ClassVar[str]
    _given: ClassVar[dict[str, Any]] = {}  # of an object: what `remember` has set

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints."""
        raise NotImplementedError

    def remember(self, example: Any) -> None:
        """Keep the texts of the example that this is the prediction of, to be shown with it; `given_of`."""
        object.__setattr__(self, "_given", given_of(example))

    def fragment(self) -> str:
        """A `<div>` of HTML, which needs the style sheet of `pages.predictions`."""
        return page.prediction_html(self.task, self.to_json(), self._given)

    def _repr_html_(self) -> str:
        return f"<style>{page.STYLE}</style>{self.fragment()}"


class ShownList(list[Any]):
    """A list of predictions that shows itself in a notebook, its first ones at least."""

    def _repr_html_(self) -> str | None:
        shown = [one.fragment() for one in self[:_MOST] if isinstance(one, Shown)]
        if not shown:
            return None  # the notebook shows the list's `repr`
        more = f"<p>and {len(self) - _MOST} more</p>" if len(self) > _MOST else ""
        return f"<style>{page.STYLE}</style>{'<hr>'.join(shown)}{more}"


def given_of(example: Any) -> dict[str, str]:
    """The texts of an example that its prediction does not repeat, by name: see `pages.predictions.prediction_html`."""
    found = {name: getattr(example, name, None) for name in ("question", "context", "query", "passage")}
    texts = {name: getattr(value, "text", value) for name, value in found.items()}  # a passage is more than its text
    return {name: text for name, text in texts.items() if isinstance(text, str)}
