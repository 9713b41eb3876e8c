"""Files that are small and valid, and ask for very much: what random changes of bytes hardly ever come to.

Huge numbers where a config counts, expansions of Jsonnet, deep nesting, words of a tokenizer that never end, headers of
weights and of archives that promise more than there is. Each bomb says which file it stands in and what that file is to
hold; `checkpoints.py`, `archives.py`, `configs.py` and `readers.py` load them.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import tarfile
from typing import Any

INTEGERS = [2**31 - 1, 2**31, 2**53, 10**9, 10**12, 10**18]
NUMBERS = [*INTEGERS, 10**30, -(10**12), 1e300, 0.5e9]
DEPTHS = [900, 1100, 3000, 100_000]
_LETTERS = "abcdefghij"


def counted(rng: random.Random, data: bytes) -> bytes:
    """A JSON object (a config of a model, say) in which one or two of its numbers are huge, or lists as long."""
    value = json.loads(data)
    places = [(holder, key) for holder, key in _numbers(value)]
    for _ in range(rng.choice((1, 1, 2))):
        if places:
            holder, key = rng.choice(places)
            holder[key] = rng.choice(NUMBERS)
    return json.dumps(value).encode()


def _numbers(value: Any) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:50]) if isinstance(value, list) else ()
    found = []
    for key, inner in list(items)[:200]:
        if isinstance(inner, (int, float)) and not isinstance(inner, bool):
            found.append((value, key))
        found += _numbers(inner)
    return found


def nested(rng: random.Random, data: bytes = b"") -> bytes:
    """JSON that is nothing but depth, or has depth under one of its keys."""
    depth, kind = rng.choice(DEPTHS), rng.randrange(3)
    deep = (
        b"[" * depth + b"]" * depth,
        b'{"a":' * depth + b"1" + b"}" * depth,
        b'[{"a":' * depth + b"1" + b"}]" * depth,
    )
    if data.lstrip()[:1] != b"{" or rng.random() < 0.3:
        return deep[kind]
    return b'{"x": ' + deep[kind] + b", " + data.lstrip()[1:]


_JSONNET: list[tuple[str, list[int]]] = [  # a program, and what may stand for N in it
    ("std.repeat('x', N)", INTEGERS),
    ("std.makeArray(N, function(i) i)", INTEGERS),
    ("std.range(1, N)", INTEGERS),
    ("local d(s, n) = if n == 0 then s else d(s + s, n - 1); d('xxxxxxxx', N)", [20, 30, 60]),
    ("local l(n) = if n == 0 then [] else [l(n - 1), l(n - 1)]; l(N)", [18, 24, 40]),
    ("local l(n) = if n == 0 then 1 else {a: l(n - 1)}; l(N)", [400, 2000, 10**6]),
    ("local a = std.range(1, N); [[x, y, z] for x in a for y in a for z in a]", [100, 400]),
    ("std.pow(10, N)", [300, 400]),
    ("local f(x) = f(x) tailstrict; f(N)", [1]),
    ("std.format('%0Nd', 1)", [10**6, 10**9]),
    ("std.join('x' , std.makeArray(N, function(i) 'xxxxxxxxxx'))", [10**6, 10**8]),
    ("std.parseJson(std.repeat('[', N))", DEPTHS),
    ("std.manifestJson(std.makeArray(N, function(i) std.range(0, 3000)))", [100, 3000]),
    ("{[std.toString(i)]: i for i in std.range(0, N)}", [10**5, 10**7]),
]


def program(rng: random.Random) -> str:
    """Jsonnet of a line, whose value is huge or never comes."""
    if rng.random() < 0.2:
        depth = rng.choice(DEPTHS)
        return rng.choice(("(" * depth + "1" + ")" * depth, "1" + "+1" * depth, "[" * depth + "]" * depth))
    text, numbers = rng.choice(_JSONNET)
    return text.replace("N", str(rng.choice(numbers)))


def tokenizer(rng: random.Random, data: bytes) -> bytes:
    """A `tokenizer.json` whose normaliser, splitter or table of merges grows what it is given, or takes for ever."""
    value = json.loads(data)
    letter, many = rng.choice(_LETTERS + " "), rng.choice((100, 10_000, 1_000_000))
    grow = {"type": "Replace", "pattern": {"String": letter}, "content": letter * many}
    slow = {"type": "Replace", "pattern": {"Regex": rng.choice(("(a|a)*$", "(a+)+$", "(.*)*x", "(x?){40}x{40}"))},
            "content": "y"}  # fmt: skip
    kind = rng.randrange(8)
    if kind == 0:
        value["normalizer"] = {"type": "Sequence", "normalizers": [grow] * rng.choice((1, 3, 8))}
    elif kind == 1:
        value["normalizer"] = {"type": "Prepend", "prepend": "x" * many}
    elif kind == 2:
        value["normalizer"] = slow
    elif kind == 3:
        value["pre_tokenizer"] = {"type": "Split", "pattern": slow["pattern"], "behavior": "Isolated", "invert": False}
    elif kind == 4:
        inner: Any = grow
        for _ in range(rng.choice((50, 200, 400))):
            inner = {"type": "Sequence", "normalizers": [inner]}
        value["normalizer"] = inner
    elif kind == 5:
        value["added_tokens"] = [{**token, "id": rng.choice(NUMBERS)} for token in value.get("added_tokens") or []]
    elif kind == 6:
        value["truncation"] = {
            "direction": "Right", "max_length": rng.choice((0, 1, 10**12)), "strategy": "LongestFirst",
            "stride": rng.choice((0, 1, 10**12)),
        }  # fmt: skip
        value["padding"] = {
            "strategy": {"Fixed": rng.choice((10**6, 10**9, 10**12))}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "x",
        }  # fmt: skip
    else:
        value["post_processor"] = {
            "type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "x", "type_id": 0}}] * min(many, 10_000)
            + [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"x": {"id": "x", "ids": [0] * min(many, 10_000), "tokens": ["x"] * min(many, 10_000)}},
        }  # fmt: skip
    return json.dumps(value).encode()


def safetensors(rng: random.Random, data: bytes) -> bytes:
    """Weights whose header is endless, or promises tensors that are not there, overlap, or have no bytes."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    names = [name for name in header if name != "__metadata__"]
    kind = rng.randrange(6)
    if kind == 0:  # the header's length alone
        return struct.pack("<Q", rng.choice((2**63, 2**40, 10**8, len(data)))) + data[8:]
    if kind == 1:
        header[rng.choice(names)]["shape"] = rng.choice(([2**40, 2**40], [10**12], [0] * 10_000, [1] * 100_000, [-1]))
    elif kind == 2:
        start, end = header[rng.choice(names)]["data_offsets"]
        header[rng.choice(names)]["data_offsets"] = rng.choice(([start, 2**60], [end, start], [0, end], [2**63, 2**64]))
    elif kind == 3:  # many tensors of nothing
        header.update(
            {f"x{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(50_000)}
        )
    elif kind == 4:
        header["__metadata__"] = {"a" * 10: "x" * 10**6}
    else:  # no bytes, and a shape that says so, in one dimension only
        header[rng.choice(names)].update(shape=[0, 2**50], data_offsets=[0, 0])
    text = json.dumps(header).encode() if rng.random() < 0.9 else nested(rng)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def archive(rng: random.Random, data: bytes) -> bytes:
    """A `model.tar.gz` of more than its size: long zeros, many members, long names, gzip within gzip, many streams."""
    kind = rng.randrange(6)
    if kind == 0:
        return gzip.compress(_tar([("config.json", bytes(rng.choice((1, 64)) * 2**20))]), 1) + data
    if kind == 1:
        return gzip.compress(_tar([(f"x{number}", b"") for number in range(rng.choice((500, 5000)))]), 1)
    if kind == 2:
        return gzip.compress(_tar([("a/" * rng.choice((50, 2000)) + "x", b"x")]), 1)
    if kind == 3:  # only zeros: what follows the last member of any tar
        return gzip.compress(bytes(rng.choice((1, 96)) * 2**20), 1)
    if kind == 4:
        return data + gzip.compress(bytes(2**20), 1) * 100
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, rng.choice((2**20, 2**33, 2**60))
    return gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + b"30 size=99999999999999999999999\n" * 1000, 1)


def _tar(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def text(rng: random.Random, data: bytes) -> bytes:
    """A file of a reader in which one line, word or number of words is very long."""
    lines = data.split(b"\n")
    chosen = rng.randrange(len(lines))
    kind, many = rng.randrange(4), rng.choice((10_000, 100_000))
    if kind == 0:
        lines[chosen] = lines[chosen] * (many // max(1, len(lines[chosen])) + 1)
    elif kind == 1:
        words = lines[chosen].split(b" ")
        words[rng.randrange(len(words))] = rng.choice((b"x", "é".encode(), "\u0301".encode(), b"1", b"(")) * many
        lines[chosen] = b" ".join(words)
    elif kind == 2:
        lines = lines[:chosen] + [b""] * many + lines[chosen:]
    else:
        lines = lines[: chosen + 1] * max(1, many // 20 // (chosen + 1))
    return b"\n".join(lines)
