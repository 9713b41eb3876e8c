"""Checking values against signatures: the shapes that shipped parts do not have, and values no one thought of."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luke_tasks import experiment_config
from luke_tasks.config import load_config
from luke_tasks.errors import ConfigError
from luke_tasks.experiment_config import CheckedConfig, check_config
from luke_tasks.registry import Check, Encoding, PositiveFloat, PositiveInt, Provided, Registrable
from luke_tasks.schema import check
from luke_tasks.spec import Spec
from tests.config_case import BASE, write_base


class Shape(Registrable):
    default_implementation = "circle"


@Shape.register("circle", "round")
class Circle(Shape):
    def __init__(self, *, radius: PositiveFloat = 1.0, canvas: Provided[str] = "none") -> None:
        self.radius, self.canvas = radius, canvas

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if values["radius"] > 100:
            yield "radius", "does not fit on the canvas"


@Shape.register("polygon", constructor="from_corners")
class Polygon(Shape):
    def __init__(self, corners: Sequence[Sequence[int]]) -> None:
        self.corners = corners

    @classmethod
    def from_corners(cls, *, corners: list[tuple[int, int]], name: str | None = None) -> Polygon:
        return cls(corners)

    @classmethod
    def config_faults(cls, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if len(values["corners"]) < 3:
            yield "corners", f"a polygon has at least 3, found {len(values['corners'])}"


@dataclass
class Point:
    x: int
    y: int = 0


class Untyped:
    def __init__(self, size, *rest, title: str = "", **more) -> None:  # type: ignore[no-untyped-def]
        self.size, self.title = size, title


class Unresolved:
    def __init__(self, *, size: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
        self.size = size


def lines(value: Any, annotation: Any) -> list[str]:
    return [str(fault) for fault in check(value, annotation, "p")[1]]


UNION = str | list[str] | Point | None


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        # the faults inside the only option that wants such a value
        (3, UNION, ["p: expected a string or a list [...] or an object {...}, found 3"]),
        (["a", 3], UNION, ["p.1: expected a string, found 3"]),
        ({"x": "1"}, UNION, ['p.x: expected an integer, found "1"']),
        ({"z": 1, "x": 1}, UNION, ["p.z: unknown key (known: x, y)"]),
        (3, Literal["a", "b"] | Literal["c"] | None, ['p: expected one of "a", "b", "c", found 3']),
        ("d", int | Literal["auto"], ['p: expected an integer or "auto", found "d"']),
        # lists and objects of any size
        ([[1, 2], [3]], list[tuple[int, int]], ["p.1: expected a list of 2: [an integer, an integer], found [3]"]),
        ([1, "2"], tuple[int, ...], ['p.1: expected an integer, found "2"']),
        (["a", None], Sequence[str], ["p.1: expected a string, found null"]),
        ({"a": 1, "b": "2"}, dict[str, int], ['p.b: expected an integer, found "2"']),
        ([], dict[str, int], ["p: expected an object {...}, found []"]),
        ({}, list, ["p: expected a list [...], found {}"]),
        # conditions
        ([1, "2"], Annotated[list[int], Check(lambda value: len(value) > 2, "three numbers")],
         ['p.1: expected an integer, found "2"']),
        ([1, 2], Annotated[list[int], Check(lambda value: len(value) > 2, "three numbers")],
         ["p: expected three numbers, found [1, 2]"]),
        (1.0, PositiveInt, []),
        (float("nan"), PositiveFloat, ["p: expected a number above 0, found NaN"]),
        (10**400, PositiveFloat, [f"p: expected a number above 0, found 1{'0' * 56}..."]),
        ("utf8", Encoding, []),
        ("hex", Encoding, ['p: expected the name of a text encoding, as "utf-8" or "ISO-8859-1", found "hex"']),
        ("utf-9", Encoding, ['p: expected the name of a text encoding, as "utf-8" or "ISO-8859-1", found "utf-9"']),
        # parts
        ("round", Shape, []),
        ({"radius": 3}, Shape, []),
        ({"typ": "circle"}, Shape, ["p.typ: unknown for Circle; did you mean type?"]),
        ({"canvas": "x"}, Shape, ["p.canvas: unknown for Circle (known: radius)"]),
        ({"type": "polygon"}, Shape, ["p.corners: missing for Polygon; expected a list [...]"]),
        ({"type": "polygon", "corner": []}, Shape, ["p.corner: unknown for Polygon; did you mean corners?"]),
        # a part's own check, only when nothing else is wrong with it
        ({"radius": 101}, Shape, ["p.radius: does not fit on the canvas"]),
        ({"radius": 101, "x": 1}, Shape, ["p.x: unknown for Circle (known: radius)"]),
        ([{"radius": -1}, {"radius": 101}], list[Shape],
         ["p.0.radius: expected a number above 0, found -1", "p.1.radius: does not fit on the canvas"]),
        ({"type": "polygon", "corners": [[0, 0]]}, Shape, ["p.corners: a polygon has at least 3, found 1"]),
        # classes of users that do not say everything
        ({"size": [{}], "title": 1}, Untyped, ["p.title: expected a string, found 1"]),
        ({"siz": 1}, Untyped, ["p.siz: unknown key; did you mean size?"]),
        ({"size": 1}, Unresolved,
         ["p: the constructor of Unresolved has an annotation that means nothing: name 'Nowhere' is not defined"]),
    ],
)  # fmt: skip
def test_faults(value: Any, annotation: Any, expected: list[str]) -> None:
    assert lines(value, annotation) == expected


def test_built_as_described() -> None:
    spec, faults = check({"type": "polygon", "corners": [[0, 0], [1, 0], [0, 1]]}, Shape)
    assert not faults
    assert spec.build().corners == [(0, 0), (1, 0), (0, 1)]
    assert spec.to_json() == {"type": "polygon", "corners": [[0, 0], [1, 0], [0, 1]], "name": None}
    assert check("circle", Shape)[0].build(canvas="paper", brush="not asked for").canvas == "paper"


def test_parts_inside_parts_are_built_now_or_later() -> None:
    @dataclass
    class Drawing:
        now: list[Shape]
        later: Spec[Shape]
        named: dict[str, Shape] | None = None

    # The annotations of a local class cannot name local classes; Shape is global.
    spec, faults = check({"now": ["circle"], "later": {"radius": 2}, "named": {"a": {}}}, Drawing)
    assert not faults
    drawing = spec.build()
    assert isinstance(drawing.now[0], Circle)
    assert isinstance(drawing.named["a"], Circle)
    assert drawing.later.build().radius == 2
    assert spec.to_json()["later"] == {"type": "circle", "radius": 2.0}


# -- whole configs --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_base(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(values: dict[str, Any]) -> CheckedConfig:
    return check_config(copy.deepcopy(values), (), (), for_training=True)


def test_resolved_config_says_every_default_and_resolves_to_itself(folder: Path) -> None:
    resolved = checked(BASE).resolved
    assert resolved["trainer"]["num_epochs"] == 20
    assert resolved["trainer"]["optimizer"]["betas"] == [0.9, 0.999]
    assert resolved["trainer"]["optimizer"]["parameter_groups"] == [
        [["bias", "LayerNorm"], {"lr": None, "weight_decay": 0.0, "requires_grad": True}]
    ]
    assert resolved["trainer"]["callbacks"][0] == {"type": "tensorboard", "log_errors": 50}
    assert resolved["model"]["head"]["dropout"] == 0.1
    assert resolved["dataset_reader"]["iob_scheme"] == "detect"
    assert resolved["random_seed"] == 13370
    assert "tokenizer" not in resolved["dataset_reader"]  # the program's to give
    assert list(resolved) == list(experiment_config.ExperimentConfig.__annotations__)
    assert checked(resolved).resolved == resolved


@functools.cache
def _resolved_base() -> dict[str, Any]:
    return checked(BASE).resolved


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_in(inner, (*path, key))


def laid_in(values: dict[str, Any], path: tuple[Any, ...], key: str | None, new: Any) -> dict[str, Any]:
    """`new` in place of what is at `path`; with `key`, beside what is there, if that is an object."""
    values = copy.deepcopy(values)
    target: Any = values
    for step in path[:-1]:
        target = target[step]
    if key is not None and isinstance(target[path[-1]], dict):
        target[path[-1]][key] = new
    else:
        target[path[-1]] = new
    return values


WORDS = [
    "type",
    "lr",
    "ner",
    "sgd",
    "adamw",
    "polygon",
    "wandb",
    "+f1",
    "-loss",
    "train.txt",
    "linear_with_warmup",
    "(",
    "",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=5),
    st.just("\ue000LT_UNSET\ue001"),
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_stands_in_a_config_it_is_checked_or_refused(folder: Path, data: st.DataObject) -> None:
    values = {**_resolved_base(), "vocabulary": {"type": "from_instances"}}
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in paths_in(values) if path]))
        key = data.draw(st.none() | st.sampled_from(WORDS) | st.text(max_size=5))
        values = laid_in(values, path, key, data.draw(JSON))
    try:
        resolved = checked(values).resolved
    except ConfigError as error:
        assert len(str(error).splitlines()) == len(error.faults) > 0
    else:
        assert "nan" in str(resolved) or checked(resolved).resolved == resolved  # NaN is not equal to itself


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=30) | st.text("{}[]()\"':,.=+a1 \nstdexVr", max_size=30), as_override=st.booleans())
def test_whatever_a_config_file_holds_it_is_read_or_refused(folder: Path, text: str, as_override: bool) -> None:
    name = "base.json"
    if not as_override:
        name = "fuzz.jsonnet"
        Path(name).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_config(name, text if as_override else "")
    except ConfigError as error:
        assert len(str(error).splitlines()) == len(error.faults) > 0
