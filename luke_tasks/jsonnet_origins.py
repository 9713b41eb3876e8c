"""Which line of a Jsonnet program, or of what it imports, each value of its result comes from.

No evaluator tells, so it is tried out: every literal of the sources in turn is replaced by a value that stands nowhere
else, and where that value comes out, the literal went in. All these programs are evaluated together, as one array. A
value that is put together from several literals is said to be computed from their lines.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luke_tasks import jsonnet
from luke_tasks.config import read_text
from luke_tasks.errors import ConfigError
from luke_tasks.jsonnet import JsonnetError

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
    |(?P<block>\|\|\|-?[^\n]*\n.*?\n[ \t]*\|\|\|)
    |(?P<verbatim>@"(?:[^"]|"")*"|@'(?:[^']|'')*')
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>\+?:{1,3}|.)""",
    re.VERBOSE | re.DOTALL,
)
_IMPORTS = ("import", "importstr", "importbin")
_BEFORE_NEGATIVE = (":", "::", ":::", "+:", "=", ",", "[", "(")  # a minus after these is a number's, no subtraction
_WORDS = {"true": True, "false": False, "null": None}
_MOST_LITERALS = 1000
_MOST_BYTES = 1 << 20  # of all sources
_AT_ONCE = 100  # programs in one array
_MOST_RUNS = 60  # evaluations, of which each program that fails takes a few
_MOST_LINES = 3  # that a computed value names


@dataclass(frozen=True)
class _Literal:
    """A value in a source, at characters `[start, end)`."""

    file: str  # as shown
    line: int
    start: int
    end: int
    value: Any
    variable: str = ""  # the environment variable that `std.extVar` asks for here

    @property
    def where(self) -> str:
        at = f"{self.file}:{self.line}"
        return f"environment variable {self.variable}, at {at}" if self.variable else at


@dataclass
class _Origins:
    """What is known of one value of the result."""

    exact: list[_Literal] = field(default_factory=list)
    parts: list[_Literal] = field(default_factory=list)  # it changes with these

    def shown(self, file: str) -> str:
        if len(self.exact) == 1:
            return self.exact[0].where
        lines = list(dict.fromkeys(literal.where for literal in self.exact or self.parts))
        more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
        return f"computed from {', '.join(lines[:_MOST_LINES])}{more}" if lines else f"computed in {file}"


def value_origins(path: Path, values: dict[str, Any], allow_imports: Sequence[str] = ()) -> dict[tuple[Any, ...], str]:
    """Where each value that is no object or list comes from, by its path in `values`: `file:line`, or in words.

    Args:
        path: the Jsonnet file.
        values: what it evaluates to.
        allow_imports: as `config.load_config`'s.
    """
    folders = jsonnet.import_folders(path, allow_imports)
    sources = _sources(path, folders)
    literals = [literal for file, text in sources.items() for literal in _literals(file, text)]
    known = {place: _Origins() for place, _ in leaves(values)}
    if len(literals) <= _MOST_LITERALS and sum(map(len, sources.values())) <= _MOST_BYTES:
        with tempfile.TemporaryDirectory(prefix="luke-tasks-") as temporary:
            trial = _Trial(path, sources, Path(temporary), dict(leaves(values)), known)
            for start in range(0, len(literals), _AT_ONCE):
                trial.run(literals[start : start + _AT_ONCE])
    files = f"{path} or what it imports" if len(sources) > 1 else str(path)
    return {place: origins.shown(files) for place, origins in known.items()}


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value in `value` that holds no other, with its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yielded = False
    for key, inner in items:
        yielded = True
        yield from leaves(inner, (*place, key))
    if not yielded:
        yield place, value


class _Trial:
    """Evaluates programs in each of which one literal is replaced, and notes what comes out changed."""

    def __init__(
        self, path: Path, sources: Mapping[str, str], folder: Path, before: Mapping[tuple[Any, ...], Any],
        known: dict[tuple[Any, ...], _Origins],
    ) -> None:  # fmt: skip
        self.path, self.sources, self.folder, self.before, self.known = path, sources, folder, before, known
        self.variables = {name: value.encode("utf-8", "replace").decode() for name, value in os.environ.items()}
        self.runs = 0
        self.numbers = itertools.count(1)
        self.taken = {value for value in before.values() if isinstance(value, float | int)}

    def run(self, literals: Sequence[_Literal]) -> None:
        """Try these together, without those that fail: what fails tells nothing."""
        stand_ins = [self._stand_in(literal) for literal in literals]
        programs = {str(number): self._write(str(number), literal, new)
                    for number, (literal, new) in enumerate(zip(literals, stand_ins, strict=True))}  # fmt: skip
        for number, result in self._evaluated(programs).items():
            self._note(literals[int(number)], stand_ins[int(number)], dict(leaves(result)))

    def _evaluated(self, programs: Mapping[str, Path]) -> dict[str, Any]:
        """The results of those that do not fail; the evaluator's trace names one that does."""
        self.runs += 1
        if not programs or self.runs > _MOST_RUNS:
            return {}
        text = "[" + ", ".join(f"import {json.dumps(str(file))}" for file in programs.values()) + "]"
        try:
            results = json.loads(jsonnet.evaluate(str(self.folder / "all"), text, self.variables, [self.folder]))
            return dict(zip(programs, results, strict=True))
        except (JsonnetError, ValueError, RecursionError) as error:
            named = re.search(re.escape(f"{self.folder}{os.sep}") + r"(\d+)\b", str(error))
            if named is not None and named[1] in programs:
                return self._evaluated({number: file for number, file in programs.items() if number != named[1]})
        if len(programs) == 1:
            return {}
        halves = list(programs.items())[: len(programs) // 2], list(programs.items())[len(programs) // 2 :]
        return {**self._evaluated(dict(halves[0])), **self._evaluated(dict(halves[1]))}

    def _stand_in(self, literal: _Literal) -> Any:
        """A value that stands nowhere else: of numbers one very near, else a string."""
        number = next(self.numbers)
        if isinstance(literal.value, bool) or not isinstance(literal.value, int | float):
            is_digits = bool(literal.variable) and str(literal.value).isdecimal()  # perhaps for std.parseInt
            return str(int(literal.value) + 7919 + number) if is_digits else f"\ue002{number}\ue003"
        new = literal.value * (1 + number * 2.0**-36) if literal.value else number * 2.0**-46
        while new in self.taken:
            new = math.nextafter(new, math.inf)
        self.taken.add(new)
        return new

    def _write(self, name: str, literal: _Literal, new: Any) -> Path:
        """The whole program anew, in a folder of its own."""
        root = self.folder / name
        for file, text in self.sources.items():
            if file == literal.file:
                text = f"{text[: literal.start]}{json.dumps(new)}{text[literal.end :]}"
            copy = Path(f"{root}{os.path.abspath(file)}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, encoding="utf-8")
        return Path(f"{root}{os.path.abspath(self.path)}")

    def _note(self, literal: _Literal, new: Any, after: Mapping[tuple[Any, ...], Any]) -> None:
        if after.keys() != self.before.keys():
            return  # other keys, or a list of another length: places cannot be compared
        for place, value in after.items():
            before = self.before[place]
            is_number = literal.variable and not isinstance(before, str)  # of a variable's digits
            is_here = value == (int(new) if is_number and new.isdecimal() else new)
            if is_here and (str(before) == literal.value if is_number else _same(before, literal.value)):
                self.known[place].exact.append(literal)
            elif not _same(value, before):
                self.known[place].parts.append(literal)


def _same(a: Any, b: Any) -> bool:
    return a == b and isinstance(a, bool) is isinstance(b, bool)


# -- sources --------------------------------------------------------------------------------------------------------


def _sources(path: Path, folders: Sequence[Path]) -> dict[str, str]:
    """The texts of a program and of all it imports, by their paths relative to the same folder as `path`."""
    found: dict[str, str] = {}
    waiting = [os.path.normpath(path)]
    while waiting:
        file = waiting.pop(0)
        real = Path(os.path.realpath(file))
        is_allowed = file == os.path.normpath(path) or any(real.is_relative_to(folder) for folder in folders)
        if file in found or not is_allowed or not real.is_file():
            continue
        try:
            found[file] = read_text(real)
        except ConfigError:  # bytes that `importbin` reads
            continue
        tokens = _tokens(found[file])
        for before, token in itertools.pairwise(tokens):
            if before.group() in _IMPORTS and token.lastgroup in ("string", "verbatim"):
                name = _text_of(token)
                if isinstance(name, str):
                    waiting.append(os.path.normpath(os.path.join(os.path.dirname(file), name)))
    return found


def _tokens(text: str) -> list[re.Match[str]]:
    return [token for token in _TOKEN.finditer(text) if token.lastgroup != "space"]


def _literals(file: str, text: str) -> Iterator[_Literal]:
    """The values in a source that may come out: no names of keys, of files or of variables."""
    tokens = _tokens(text)
    words = ["", "", "", "", *(token.group() for token in tokens), ""]  # four before the first, one after the last
    for number, token in enumerate(tokens, start=4):
        before, after, word = words[number - 1], words[number + 1], words[number]
        if before in _IMPORTS or re.fullmatch(r"\+?:{1,3}", after):
            continue
        start, variable = token.start(), ""
        value: Any = _text_of(token)
        if token.lastgroup == "name":
            if word not in _WORDS:
                continue
            value = _WORDS[word]
        elif token.lastgroup == "number":
            value = float(word)
            if before == "-" and words[number - 2] in _BEFORE_NEGATIVE:
                value, start = -value, tokens[number - 5].start()
            if math.isinf(value):
                continue
        elif value is None:
            continue
        end = token.end()
        if words[number - 4 : number] == ["std", ".", "extVar", "("]:
            if after != ")" or value not in os.environ:
                continue
            variable, value = value, os.environ[value]
            start, end = tokens[number - 8].start(), tokens[number - 3].end()
        yield _Literal(file, text.count("\n", 0, start) + 1, start, end, value, variable)


def _text_of(token: re.Match[str]) -> str | None:
    """What a token of a string says; None for other tokens, and escapes that are not JSON's."""
    word = token.group()
    if token.lastgroup == "verbatim":
        return word[2:-1].replace(word[1] * 2, word[1])
    if token.lastgroup != "string":
        return None
    if word[0] == "'":
        word = '"' + re.sub(r'\\\'|"', lambda sign: "'" if sign.group() == "\\'" else '\\"', word[1:-1]) + '"'
    try:
        text = json.loads(word, strict=False)
    except ValueError:
        return None
    return text if isinstance(text, str) else None
