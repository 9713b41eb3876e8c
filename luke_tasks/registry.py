"""Registries of named classes, and the few annotations by which a constructor says what a config may hold.

A class hierarchy that users choose from by name derives from `Registrable`:

    class Reader(Registrable): ...

    @Reader.register("conll_span")
    class ConllReader(Reader):
        def __init__(self, *, tokenizer: Provided[Tokenizer], max_mention_length: PositiveInt = 16) -> None: ...

`{"type": "conll_span", "max_mention_length": 8}` then describes one. The keys are the constructor's keyword-only
parameters, except those marked `Provided`, which the program passes when it builds the object.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from luke_tasks.errors import Fault, PluginError

T = TypeVar("T")
R = TypeVar("R", bound=type)
_PLUGINS_FILE = Path(".allennlp_plugins")


class _Provided:
    """Marks a parameter that the program passes, not the config."""


@dataclass(frozen=True)
class Check:
    """A condition on a config value, for `Annotated[type, Check(...)]`: `holds` is asked, `expected` is shown.

    `why` may say what is wrong with a value that does not fulfil it. `schema` says the same in the words of JSON Schema
    (`{"minimum": 1}`), as far as these go, for editors.
    """

    holds: Callable[[Any], bool]
    expected: str
    why: Callable[[Any], str] = lambda value: ""
    schema: Mapping[str, Any] = field(default_factory=dict, compare=False)


def _regex_error(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error) or type(error).__name__
    return ""


def _is_encoding(name: str) -> bool:
    try:
        return bool("a".encode(name))
    except (LookupError, ValueError):
        return False


Provided = Annotated[T, _Provided]
PositiveInt = Annotated[int, Check(lambda value: value > 0, "a positive integer", schema={"minimum": 1})]
NonNegativeInt = Annotated[int, Check(lambda value: value >= 0, "an integer of at least 0", schema={"minimum": 0})]
PositiveFloat = Annotated[float, Check(lambda value: value > 0, "a number above 0", schema={"exclusiveMinimum": 0})]
NonNegativeFloat = Annotated[float, Check(lambda value: value >= 0, "a number of at least 0", schema={"minimum": 0})]
Fraction = Annotated[
    float, Check(lambda value: 0 <= value <= 1, "a number between 0 and 1", schema={"minimum": 0, "maximum": 1})
]
Seed = Annotated[  # as numpy takes
    int,
    Check(lambda value: 0 <= value < 2**32, "an integer from 0 to 4294967295",
          schema={"minimum": 0, "maximum": 2**32 - 1}),
]  # fmt: skip
Regex = Annotated[str, Check(lambda text: not _regex_error(text), "a regular expression", _regex_error)]
Encoding = Annotated[str, Check(_is_encoding, 'the name of a text encoding, as "utf-8" or "ISO-8859-1"')]

Folder = Annotated[
    str,
    Check(lambda name: bool(name.strip()) and "\0" not in name, "the name of a folder", schema={"pattern": r"\S"}),
]


class Registrable:
    """Base of class hierarchies chosen by name. Each direct subclass owns a registry of its own subclasses.

    `default_implementation` is the name used where a config gives no `type`.
    """

    default_implementation: ClassVar[str | None] = None
    _registry: ClassVar[dict[str, tuple[type, str | None]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Registrable in cls.__bases__:
            cls._registry = {}

    @classmethod
    def register(cls, *names: str, constructor: str | None = None) -> Callable[[R], R]:
        """Class decorator: make the class known under `names`, the first being its name and the rest aliases.

        A class may be registered again by its own module: imported anew, it takes its old place.

        Args:
            constructor: the classmethod that builds it from a config; by default the class itself.
        Raises:
            ValueError: a name is taken by another class.
        """

        def add(subclass: R) -> R:
            for name in names:
                known = cls._registry.get(name)
                if known is not None and _full_name(known[0]) != _full_name(subclass):
                    raise ValueError(f"{_full_name(subclass)} cannot be registered as {cls.__name__} {name!r}: "
                                     f"{_full_name(known[0])} has this name; choose another")  # fmt: skip
            cls._registry.update(dict.fromkeys(names, (subclass, constructor)))
            return subclass

        return add

    @classmethod
    def registered(cls) -> dict[str, Callable[..., Any]]:
        """Name → what builds it, in alphabetical order."""
        return {
            name: getattr(subclass, constructor) if constructor else subclass
            for name, (subclass, constructor) in sorted(cls._registry.items())
        }

    @classmethod
    def name_of(cls, subclass: type) -> str:
        """The first name `subclass` was registered under. Raises KeyError when it was not."""
        for name, (known, _) in cls._registry.items():
            if known is subclass:
                return name
        raise KeyError(subclass.__qualname__)


def discover(package: str) -> None:
    """Import every module directly inside `package`, so that its classes register themselves."""
    root = importlib.import_module(package)
    for module in pkgutil.iter_modules(root.__path__):
        importlib.import_module(f"{package}.{module.name}")


def import_plugins(include_packages: Iterable[str]) -> None:
    """Import the user's own registered classes.

    They are named by `--include-package`, by the lines of a `.allennlp_plugins` file in the working directory, and by
    the entry points of the group `luke_tasks.plugins`. A named package is imported with all its submodules.

    Raises:
        PluginError: with every one that cannot be found or imported, one a line.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as AllenNLP does: a package beside the config is found
    importlib.invalidate_caches()
    asked = {name: "--include-package" for name in include_packages}
    asked = {**{name: str(_PLUGINS_FILE) for name in _plugins_file()}, **asked}
    faults = []
    cause: BaseException | None = None
    for name, origin in asked.items():
        try:
            _import_with_submodules(name)
        except (Exception, SystemExit) as error:  # whatever a user's module raises
            faults.append(Fault(origin, _import_failure(name, error)))
            cause = cause or error
    for entry in importlib.metadata.entry_points(group="luke_tasks.plugins"):
        try:
            entry.load()
        except (Exception, SystemExit) as error:
            owner = f"the installed package {entry.dist.name}" if entry.dist else "an installed package"
            faults.append(Fault(f"entry point {entry.name}", f"{owner}: {_import_failure(entry.value, error)}"))
            cause = cause or error
    if faults:
        raise PluginError("\n".join(map(str, faults))) from cause


def _plugins_file() -> list[str]:
    if not _PLUGINS_FILE.is_file():
        return []
    try:
        lines = [line.strip() for line in _PLUGINS_FILE.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{_PLUGINS_FILE}: cannot be read as lines of package names: {error}") from None
    return [line for line in lines if line and not line.startswith("#")]


def _import_with_submodules(name: str) -> None:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), prefix=f"{name}."):
        if not found.name.endswith(".__main__"):  # a program, not a module
            importlib.import_module(found.name)


def _import_failure(name: str, error: BaseException) -> str:
    """Why `name` could not be imported: it is not there, or what its code raised, and where."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return (f"there is no package {name!r} in {Path.cwd()} or among the installed ones; give its name as in "
                "`import NAME`, from the folder that holds it")  # fmt: skip
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    where = f"{frames[-1].filename}:{frames[-1].lineno}"
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    return f"importing {name!r} failed at {where}: {type(error).__name__}: {error}"


def _full_name(subclass: type) -> str:
    return f"{subclass.__module__}.{subclass.__qualname__}"
