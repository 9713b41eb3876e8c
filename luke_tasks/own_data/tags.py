"""Tags of words as people write them (`B-PER`, `PER-B`, `B_PER`, `U-PER`, `PER`), read into one form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from luke_tasks.errors import DataError
from luke_tasks.readers.tagging import Scheme, TaggedSentence, detect_scheme, parse_tag, predicted_spans, tags_of

_BEFORE = re.compile(r"([BIESLUMbieslum])([-_:/.])(.+)")
_AFTER = re.compile(r"(.+)([-_:/.])([BIESLUM])")
_OUTSIDE = ("O", "o", "0", "_", "OUT", "")
_MOST_TYPES = 60
_MIDDLE = {"M": "I"}  # BMES
_MOST_STRAYS = 0.05  # of all tags but O: tags of another form, which are typing errors and no other style


class TagStyle:
    """How a column of tags is written: where the prefix stands, and what means "no entity".

    Args:
        values: all tags of the file.
    Raises:
        ValueError: they are no tags of entities.
    """

    def __init__(self, values: Iterable[str]) -> None:
        counts = Counter(values)
        outside = [name for name in _OUTSIDE if name in counts]
        if not outside:
            raise ValueError("no tag means that a word is no entity")
        self.outside = max(outside, key=lambda name: counts[name])
        tags = [name for name in counts if name not in outside]
        self.example = max(tags, key=lambda name: counts[name], default="")
        share = counts[self.outside] / counts.total()
        if not tags:
            raise ValueError("every tag is the same")
        most = _MOST_STRAYS * sum(counts[tag] for tag in tags)
        before, after = (sum(counts[tag] for tag in tags if not form.fullmatch(tag)) <= most
                         for form in (_BEFORE, _AFTER))  # fmt: skip
        self.split: Callable[[str], tuple[str, str]]
        if before:
            self.form, self.split = "prefixes", _split_before
        elif after:
            self.form, self.split = "suffixes", _split_after
        elif share > 0.4 and len(tags) <= _MOST_TYPES and not any(tag.isdigit() for tag in tags):
            self.form, self.split = "types alone", lambda tag: ("I", tag)
        else:
            raise ValueError("they are not O and tags with a prefix")
        form = {"prefixes": _BEFORE, "suffixes": _AFTER}.get(self.form)
        self.strays = {tag for tag in tags if form is not None and not form.fullmatch(tag)}
        known = [tag for tag in tags if tag not in self.strays]
        self.is_standard = before and outside == ["O"] and all(re.fullmatch(r"[BIESLU]-(?!O$).+", tag) for tag in known)
        self.types: Counter[str] = Counter()
        for tag in known:
            self.types[self.split(tag)[1]] += counts[tag]

    def standard(self, tag: str, where: str) -> str:
        """The tag as `B-PER` or `O`. Raises DataError, beginning with `where`, when it is of another style."""
        if tag in _OUTSIDE:
            return "O"
        try:
            prefix, kind = self.split(tag)
        except TypeError:
            expected = f"expected {self.outside}, or one such as {self.example}"
            raise DataError(f"{where}: unknown tag {tag!r}: {expected}") from None
        return f"{_MIDDLE.get(prefix, prefix)}-{kind}"


def scheme_of(sentences: Sequence[Sequence[str]]) -> Scheme | None:
    """The scheme of standard tags; None where they follow none all through."""
    try:
        return detect_scheme(TaggedSentence([parse_tag(tag, "") for tag in tags], "", 0) for tags in sentences)
    except DataError:
        return None


def as_iob2(tags: Sequence[str]) -> list[str]:
    """Standard tags of any scheme, or of a mixture, in IOB2: an entity goes on while its type does, up to a `B-`."""
    return tags_of(predicted_spans(tags), len(tags), "iob2")


def _split_before(tag: str) -> tuple[str, str]:
    match = _BEFORE.fullmatch(tag)
    return match[1].upper(), match[3]  # type: ignore[index]  # TypeError where it is none


def _split_after(tag: str) -> tuple[str, str]:
    match = _AFTER.fullmatch(tag)
    return match[3], match[1]  # type: ignore[index]
