"""Names for classes, and the packages that bring more of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from luke_tasks.errors import PluginError
from luke_tasks.registry import Registrable, import_plugins


class Fruit(Registrable):
    pass


@Fruit.register("apple", "malus")
class Apple(Fruit):
    pass


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory; what is imported from it, and every registry, is as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(Fruit, "_registry", dict(Fruit._registry))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def absent(name: str, folder: Path) -> str:
    return (
        f"there is no package {name!r} in {folder} or among the installed ones; give its name as in `import NAME`, "
        "from the folder that holds it"
    )


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def register_in(package: str, name: str) -> None:
    write(
        f"{package}.py", f"from tests.test_registry import Fruit\n\n@Fruit.register({name!r})\nclass Own(Fruit): pass\n"
    )


def refusal(*packages: str) -> list[str]:
    with pytest.raises(PluginError) as refused:
        import_plugins(packages)
    return str(refused.value).splitlines()


# -- names ----------------------------------------------------------------------------------------------------------


def test_names_of_a_class() -> None:
    assert list(Fruit.registered()) == ["apple", "malus"]
    assert Fruit.name_of(Apple) == "apple"
    with pytest.raises(KeyError):
        Fruit.name_of(int)


def test_a_taken_name() -> None:
    with pytest.raises(ValueError) as refused:

        @Fruit.register("pear", "apple")
        class Pear(Fruit):
            pass

    assert str(refused.value) == (
        "tests.test_registry.test_a_taken_name.<locals>.Pear cannot be registered as Fruit 'apple': "
        "tests.test_registry.Apple has this name; choose another"
    )
    assert "pear" not in Fruit.registered()


def test_each_hierarchy_has_names_of_its_own() -> None:
    class Colour(Registrable):
        pass

    Colour.register("apple")(Apple)
    assert "malus" not in Colour.registered()


def test_a_module_imported_anew_takes_its_old_names() -> None:
    register_in("own_fruit", "quince")
    import_plugins(["own_fruit"])
    first = Fruit.registered()["quince"]
    importlib.reload(sys.modules["own_fruit"])
    assert Fruit.registered()["quince"] is not first


def test_equally_named_classes_of_two_packages_are_two() -> None:
    register_in("one", "quince")
    register_in("two", "quince")
    lines = refusal("one", "two")
    assert len(lines) == 1
    assert lines[0].endswith(
        "ValueError: two.Own cannot be registered as Fruit 'quince': one.Own has this name; choose another"
    )


# -- packages -------------------------------------------------------------------------------------------------------


def test_a_package_brings_its_submodules_but_not_its_program() -> None:
    write("bag/__init__.py", "")
    write("bag/deep/__init__.py", "")
    register_in("bag/deep/down", "quince")
    write("bag/__main__.py", "raise SystemExit('a program ran')")
    import_plugins(["bag"])
    assert "quince" in Fruit.registered()


def test_a_package_may_be_named_again() -> None:
    register_in("own_fruit", "quince")
    write(".allennlp_plugins", "own_fruit\n")
    import_plugins(["own_fruit", "own_fruit"])
    import_plugins(["own_fruit"])
    assert "quince" in Fruit.registered()


def test_plugins_file() -> None:
    register_in("one", "quince")
    register_in("two", "medlar")
    write(".allennlp_plugins", "\ufeff# ours\none\n\n  two  \n")
    import_plugins([])
    assert {"quince", "medlar"} <= set(Fruit.registered())


def test_plugins_file_names_nothing_there_is(folder: Path) -> None:
    write(".allennlp_plugins", "no_such_package\n")
    assert refusal() == [f".allennlp_plugins: {absent('no_such_package', folder)}"]


def test_plugins_file_is_no_text() -> None:
    Path(".allennlp_plugins").write_bytes(b"\xff\xfe")
    assert refusal()[0].startswith(".allennlp_plugins: cannot be read as lines of package names: ")


@pytest.mark.parametrize("name", ["no_such_package", "tests.no_such_module", "configs/own", "own.py"])
def test_missing_package(name: str, folder: Path) -> None:
    assert refusal(name) == [f"--include-package: {absent(name, folder)}"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("\nraise ValueError('no\\nluck')", "2: ValueError: no luck"),
        ("import no_such_dependency", "1: ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("from json import no_such_name", "1: ImportError: cannot import name 'no_such_name' from 'json' "),
        ("x = (1,\n", "1: SyntaxError: '(' was never closed "),
        ("import sys\nraise SystemExit(3)", "2: SystemExit: 3"),
        ("class Odd(BaseException): pass\nimport json\njson.loads('')", "json/decoder.py:"),
    ],
)
def test_package_that_fails(text: str, error: str, folder: Path) -> None:
    write("own/__init__.py", "")
    write("own/reader.py", text)
    (line,) = refusal("own")
    assert line.startswith("--include-package: importing 'own' failed at ")
    assert error in line
    if error[0].isdigit():
        assert f"at {folder}/own/reader.py:{error}" in line


def test_all_failures_together(folder: Path) -> None:
    write("bad.py", "1 / 0")
    assert refusal("missing", "bad", "missing") == [
        f"--include-package: {absent('missing', folder)}",
        f"--include-package: importing 'bad' failed at {folder}/bad.py:1: ZeroDivisionError: division by zero",
    ]


# -- installed packages ---------------------------------------------------------------------------------------------


def install(name: str, entry_point: str) -> None:
    """As pip would: a folder that describes the package, on `sys.path`."""
    write(f"site/{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write(f"site/{name}-1.0.dist-info/entry_points.txt", f"[luke_tasks.plugins]\n{entry_point}\n")
    sys.path.insert(0, str(Path("site").absolute()))


def test_installed_plugin() -> None:
    register_in("site/orchard", "quince")
    install("orchard", "fruit = orchard")
    import_plugins([])
    assert "quince" in Fruit.registered()


def test_installed_plugin_that_fails(folder: Path) -> None:
    write("site/orchard.py", "raise RuntimeError('frost')")
    install("orchard", "fruit = orchard")
    assert refusal() == [
        f"entry point fruit: the installed package orchard: importing 'orchard' failed at {folder}/site/orchard.py:1: "
        "RuntimeError: frost"
    ]
