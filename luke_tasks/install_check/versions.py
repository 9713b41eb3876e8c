"""The packages that this one needs, and those of its extras, against what is installed."""

from __future__ import annotations

import importlib.metadata
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

NAME = "luke-tasks"
# extra → what it gives; a checkout's tools (`dev`, `docs`) are no part of an installation
EXTRAS = {
    "cache": "data_loader.cache_dir: data read and encoded once, larger than memory; the cache of a sweep",
    "tensorboard": "the tensorboard callback",
    "sweep": "allennlp sweep and tune",
    "ray": "predict --ray, sweep --ray",
    "serve": "luke-tasks serve: a page and a JSON API",
    "onnx": "export --to onnx",
}


@dataclass(frozen=True)
class Found:
    """A requirement and the version that is installed; None: it is not."""

    requirement: Requirement
    version: str | None

    @property
    def fits(self) -> bool:
        """Whether it is installed in a version that will do."""
        return self.version is not None and self.requirement.specifier.contains(self.version, prereleases=True)

    def __str__(self) -> str:
        found = f"found {self.version}" if self.version is not None else "not installed"
        return f"{self.requirement.name}{self.requirement.specifier}: {found}"


def requirements(extra: str | None = None) -> list[Found]:
    """What the package needs on this machine, or what an extra adds.

    Read from the metadata of the installed package, or, run from a folder of its source, from `pyproject.toml`.
    Raises LookupError when there is neither.
    """
    texts = _declared()
    found = []
    for text in texts:
        one = Requirement(text)
        is_always = one.marker is None or one.marker.evaluate({"extra": ""})
        is_extra = one.marker is not None and not is_always and one.marker.evaluate({"extra": extra or ""})
        if is_extra if extra is not None else is_always:
            found.append(Found(one, _installed(one.name)))
    return found


def _declared() -> list[str]:
    """All requirements in the metadata's form, `name>=1; extra == "sweep"`."""
    source = Path(__file__).parents[2] / "pyproject.toml"
    if source.exists():
        project = tomllib.loads(source.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == NAME:
            extras = project.get("optional-dependencies", {})
            of_extras = [f'{text}; extra == "{extra}"' for extra, texts in extras.items() for text in texts]
            return [*project["dependencies"], *of_extras]
    try:
        return importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        raise LookupError(f"{NAME} is not installed, and no pyproject.toml of it is beside it") from None


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
