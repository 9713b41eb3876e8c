"""`luke-tasks test-install`: what it prints where all works, and where something does not."""

from __future__ import annotations

import pytest

from luke_tasks.__main__ import main
from luke_tasks.install_check import versions
from luke_tasks.install_check.trial import Trial


def test_all_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test-install"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("  ok     ") and " s  " in line] == [
        "packages", "torch", "jsonnet", "build", "train", "evaluate", "predict"]  # fmt: skip
    assert "2 steps on " in printed
    assert all(extra in printed for extra in versions.EXTRAS)
    assert printed.splitlines()[-1] == "all works"


def test_wrong_packages_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    installed = {"torch": "1.12", "seqeval": None, "optuna": None}
    real = versions._installed
    monkeypatch.setattr(versions, "_installed", lambda name: installed[name] if name in installed else real(name))
    monkeypatch.setattr(Trial, "make", lambda self: (_ for _ in ()).throw(OSError("no room")))
    assert main(["test-install"]) == 1
    printed = capsys.readouterr().out
    assert "torch>=2.6: found 1.12; seqeval>=1.2.2: not installed; install what fits: pip install" in printed
    assert "FAILED build" in printed and "OSError: no room" in printed
    assert "train  " not in printed  # which needs what was not built
    assert "optuna>=5.0: not installed: pip install 'luke-tasks[sweep]'" in printed
    assert printed.splitlines()[-1] == "failed: packages, build"


def test_extras_are_those_of_the_package() -> None:
    """An extra that is new in pyproject.toml must say here what it gives."""
    declared = {text.partition('extra == "')[2].partition('"')[0] for text in versions._declared()} - {""}
    assert declared - {"dev", "docs"} == {*versions.EXTRAS}
