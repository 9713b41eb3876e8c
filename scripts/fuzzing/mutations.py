"""What a file may turn into: bytes flipped, cut, doubled and spliced; values of JSON replaced, moved and nested.

Everything is drawn from one `random.Random`, so a case can be made again from its number.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

MOST_BYTES = 1 << 18  # of a mutated file
DEEP = 3000  # brackets: more than Python's stack has frames
TOKENS = [
    b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\r", b"\n", b"\n\n\n", b"\t", b" ",
    b"\x1b[31m", b"\\ud800", b"\\u0000", "\u2028".encode(), "\u202e".encode(), "\u0301".encode(), "👩‍👩‍👧".encode(),
    "日本".encode(), b"9" * 5000, b"99999999999999999999", b"-1", b"1e999", b"NaN", b"Infinity", b"0.5", b"null",
    b"true", b"[]", b"{}", b"[" * DEEP, b'{"a":' * DEEP, b"]" * 30, b'"', b"'", b"\\", b",", b":", b"}", b"]",
    b"-DOCSTART-", b"<e1>", b"</e1>", b"[MASK]", b"<ent>", b"B-", b"../../../etc/passwd", b"/dev/zero", b"x" * 4000,
b"%s%n", b"//", b"/*", b"$", b"+", ]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 7, 2**31, 2**63, 10**12, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", " ",
    "\0", "\ud800", "\u2028", "\x1b[31m", "a\nb", "x" * 4000, "0", "luke", "/etc/passwd", "/dev/zero",
    "../../../etc/passwd", "embedded:minilm", "https://example.org/x", "os.system", [], {}, [[]], [None], [0, 1],
    [1, 0], [-1, 5], ["a", "b"], {"type": "luke"}, {"": ""}, {"a": {"b": []}},
]  # fmt: skip


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """One to four changes of a file's bytes; `others` are what parts may be spliced in from. Rarely none."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        data = rng.choice(_CHANGES)(rng, data, others)[:MOST_BYTES]
    return data


def _place(rng: random.Random, data: bytes, longest: int = 64) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(1, longest))


def _flip(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _place(rng, data, 9)
    return (
        data[:start]
        + rng.choice((bytes(end - start), b"\xff" * (end - start), rng.randbytes(end - start)))
        + data[end:]
    )


def _insert(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _place(rng, data)
    return data[:start] + rng.choice(TOKENS) + data[rng.choice((start, end)) :]


def _delete(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _place(rng, data, rng.choice((2, 16, 256)))
    return data[:start] + data[end:]


def _cut(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, _ = _place(rng, data)
    return rng.choice((data[:start], data[start:]))


def _double(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _place(rng, data, 256)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 50)) + data[end:]


def _splice(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else data
    (start, _), (first, last) = _place(rng, data), _place(rng, other, 512)
    return data[:start] + other[first:last] + data[start + rng.choice((0, last - first)) :]


def _number(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another number in place of one that stands there."""
    digits = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
    if not digits:
        return _insert(rng, data, others)
    start = end = rng.choice(digits)
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    return (
        data[:start]
        + rng.choice((b"0", b"-1", b"4294967296", b"1000000000000", b"9" * 400, b"1.5", b"1e9"))
        + data[end:]
    )


def _lines(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines[: rng.choice((len(lines), first + 1))])


def _encoded(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    text = data.decode("utf-8", "replace")
    return rng.choice((
        lambda: text.encode("utf-16"), lambda: text.encode("latin-1", "replace"), lambda: b"\xef\xbb\xbf" + data,
        lambda: data.replace(b"\n", b"\r\n"), lambda: text.upper().encode("utf-8"), lambda: data.replace(b" ", b"\t"),
    ))()  # fmt: skip


_CHANGES = (_flip, _flip, _overwrite, _insert, _insert, _delete, _cut, _double, _splice, _number, _lines, _encoded)


def mutated_json(rng: random.Random, value: Any) -> Any:
    """A copy of a JSON value with one to three of its inner values replaced, removed, renamed, moved or wrapped."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return rng.choice(VALUES)
        holder, key = rng.choice(places)
        old = holder[key]
        change = rng.randrange(8)
        if change == 0:
            del holder[key]
        elif change == 1 and isinstance(holder, dict):
            holder[str(rng.choice((key, "type", "x", "", "a.b"))) + rng.choice(("", "s", "\n"))] = holder.pop(key)
        elif change == 2:
            holder[key] = rng.choice(([old], {"a": old}, {str(key): old}, str(old)))
        elif change == 3:
            other, name = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[name])) if name in other or isinstance(other, list) else None
        elif change == 4 and isinstance(old, (int, float)) and not isinstance(old, bool):
            holder[key] = rng.choice((-old, old + 1, old - 1, old * 1000, 0, float(old), old * 10**9))
        elif change == 5 and isinstance(old, str):
            holder[key] = old[: rng.randrange(len(old) + 1)] + rng.choice(("", "x", "\0", "\ud800", old, " "))
        else:
            holder[key] = rng.choice(VALUES)
    return value


def json_bytes(value: Any) -> bytes:
    """As a file holds it. Half characters stay escaped."""
    return json.dumps(value).encode("utf-8")


def mutated_json_file(rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """A file of one JSON value, or of one a line: its values or its bytes changed."""
    if rng.random() < 0.4:
        return mutated(rng, data, others)
    try:
        return json_bytes(mutated_json(rng, json.loads(data)))
    except (ValueError, RecursionError):
        lines = data.splitlines()
    if not lines:
        return mutated(rng, data, others)
    chosen = rng.randrange(len(lines))
    try:
        lines[chosen] = json_bytes(mutated_json(rng, json.loads(lines[chosen])))
    except (ValueError, RecursionError):
        return mutated(rng, data, others)
    return b"\n".join(lines) + b"\n"


def _places(value: Any) -> Any:
    """Every (holder, key) below a value; of long lists, the first items."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value[:50]) if isinstance(value, list) else ()
    for key, inner in list(items)[:200]:
        yield value, key
        yield from _places(inner)
