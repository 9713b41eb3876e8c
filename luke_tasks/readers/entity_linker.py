"""Linking mentions in a question and its context to Wikipedia's entities, LUKE's second input in question answering.

In: a text, the characters of its word pieces, and which mentions its article may hold. Out: the entities found, with
their pieces. Semantics are those of studio-ousia/luke's `wiki_entity_linker`, but for two faults of it:

- It asks every vocabulary for names with a language. Those of LUKE's own vocabulary bear none, so it never finds an
  entity there, only in mLUKE's. Here both are found.
- Where question and context differ in language, it leaves out a mention that begins the context.

A mention is compared by the characters its pieces stand for; there, by the pieces put together again, which loses the
case of letters with an uncased tokenizer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from luke_tasks.data.hub import (
    CONFIG_FILES,
    SPECIAL_ENTITIES,
    checkpoint_dir,
    read_entity_vocab,
    read_entity_vocab_file,
)
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import ConfigError, DataError, Fault, describe
from luke_tasks.registry import PositiveInt, Registrable
from luke_tasks.untrusted import parse_json


@dataclass(frozen=True)
class Mention:
    """A linked entity, on word pieces `[start, end)` of a text."""

    entity_id: int
    start: int
    end: int


class Candidates:
    """The mentions that the texts of one article may hold: surface → entity name."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self._initials = frozenset(surface[:1] for surface in names)

    def longest(self, text: str, offsets: Sequence[Sequence[int]], max_pieces: int) -> Iterator[tuple[int, int, str]]:
        """The mentions of a text from left to right, the longest first where several begin, none overlapping.

        Args:
            offsets: characters `[start, end)` of each word piece, spaces before it left out.
        Returns:
            First piece, piece after the last, entity name.
        """
        after = 0
        for start, (first, _) in enumerate(offsets):
            if start < after or text[first : first + 1] not in self._initials:
                continue
            for end in range(min(start + max_pieces, len(offsets)), start, -1):
                name = self.names.get(" ".join(text[first : offsets[end - 1][1]].split()))
                if name is not None:
                    yield start, end, name
                    after = end
                    break


class EntityLinker(Registrable, ABC):
    """Base of linkers. `wiki_entity_linker` in a config's reader.

    Subclasses say which mentions an article may hold (`names_of`).

    Args:
        max_mention_length: word pieces of the longest mention.
        entity_vocab_path: whose entities are linked: a file (`.json`, `.tsv`, `.jsonl`), a folder or a hub name with an
            entity vocabulary; by default the encoder's checkpoint. Its ids must be the encoder's.
        require_language: find only names that bear a language, as the original does: nothing in LUKE's own vocabulary.
            For models that were trained with it.
    """

    def __init__(
        self,
        *,
        max_mention_length: PositiveInt = 10,
        entity_vocab_path: str | None = None,
        require_language: bool = False,
    ) -> None:
        self.max_mention_length = max_mention_length
        self.require_language = require_language
        self.entity_vocab_path = entity_vocab_path
        self._tokenizer: Tokenizer | None = None
        self._candidates: dict[tuple[str, str, str], Candidates | None] = {}

    @abstractmethod
    def names_of(self, title: str, title_language: str, language: str) -> Mapping[str, str] | None:
        """Surface → entity name for an article's texts in `language`; None where the article is not known."""

    def use(self, tokenizer: Tokenizer) -> None:
        """Take the entity vocabulary of the encoder's tokenizer. Raises ConfigError when it names no entity."""
        self._tokenizer = tokenizer
        if not any(name not in SPECIAL_ENTITIES for name in tokenizer.entity_vocab):
            message = ("links entities, but the encoder's vocabulary holds special entities only; begin from a LUKE "
                       "checkpoint, or remove this key")  # fmt: skip
            raise ConfigError([Fault("dataset_reader.wiki_entity_linker", message)])

    def candidates(self, title: str, title_language: str, language: str) -> Candidates | None:
        """What `names_of` says, ready for searching; None for a text without a title."""
        if not title:
            return None
        key = (title, title_language, language)
        if key not in self._candidates:
            names = self.names_of(title, title_language, language)
            self._candidates[key] = None if names is None else Candidates(names)
        return self._candidates[key]

    def link(self, text: str, offsets: Sequence[Sequence[int]], candidates: Candidates, language: str) -> list[Mention]:
        """The entities of a text, in order. A mention whose entity is not in the vocabulary still takes its pieces."""
        found = []
        for start, end, name in candidates.longest(text, offsets, self.max_mention_length):
            entity_id = self._vocab.get(f"{language}:{name}")  # mLUKE's names bear a language
            if not self.require_language:
                entity_id = self._vocab.get(name, entity_id)
            if entity_id is not None:
                found.append(Mention(entity_id, start, end))
        return found

    def files(self) -> list[Path]:
        """See `Reader.files`: the entity vocabulary of a folder or hub name."""
        if self.entity_vocab_path is None or Path(self.entity_vocab_path).is_file():
            return []
        folder = checkpoint_dir(self.entity_vocab_path, weights=False)
        return [folder / name for name in CONFIG_FILES if (folder / name).exists()]

    @cached_property
    def _vocab(self) -> Mapping[str, int]:
        assert self._tokenizer is not None, "use() comes first"
        own = self._tokenizer.entity_vocab
        if self.entity_vocab_path is None:
            return own
        path = Path(self.entity_vocab_path)
        if path.is_file():
            vocab = read_entity_vocab_file(path)
        else:
            vocab = read_entity_vocab(checkpoint_dir(self.entity_vocab_path, weights=False))
        last = max(own.values())
        beyond = next((name for name, id in vocab.items() if not 0 <= id <= last), None)
        if beyond is not None:
            message = (f"{self.entity_vocab_path}: {beyond!r} has id {vocab[beyond]}, but the encoder's entities have "
                       f"ids up to {last}; remove this key, or name the encoder's own vocabulary")  # fmt: skip
            raise ConfigError([Fault("dataset_reader.wiki_entity_linker.entity_vocab_path", message)])
        return vocab


@EntityLinker.register("json")
class JsonEntityLinker(EntityLinker):
    """Mentions from files of the form that studio-ousia/luke publishes: `{title: {surface: entity name}}`.

        {"Super Bowl 50": {"Panthers": "Carolina Panthers", "Denver": "Denver Broncos"}}

    `scripts/build_mention_candidates.py` makes one. A file is read when its first article is asked for; an archive does
    not hold it, and needs it to link what bears a title.

    Args:
        mention_candidate_json_file_paths: language of the titles and of the texts, as `en-en`, → file.
        max_mention_length: word pieces of the longest mention.
        entity_vocab_path: whose entities are linked: a file (`.json`, `.tsv`, `.jsonl`), a folder or a hub name with an
            entity vocabulary; by default the encoder's checkpoint. Its ids must be the encoder's.
        require_language: find only names that bear a language, as the original does: nothing in LUKE's own vocabulary.
    """

    def __init__(
        self,
        *,
        mention_candidate_json_file_paths: dict[str, str],
        max_mention_length: PositiveInt = 10,
        entity_vocab_path: str | None = None,
        require_language: bool = False,
    ) -> None:
        super().__init__(
            max_mention_length=max_mention_length,
            entity_vocab_path=entity_vocab_path,
            require_language=require_language,
        )
        self.paths = mention_candidate_json_file_paths
        self._files: dict[str, dict[str, Any]] = {}

    def names_of(self, title: str, title_language: str, language: str) -> Mapping[str, str] | None:
        """See `EntityLinker`. Raises DataError when there is no file for the languages, or it is not of the form."""
        languages = f"{title_language}-{language}"
        path = self.paths.get(languages)
        if path is None:
            raise DataError(f"wiki_entity_linker: no mention candidates for {languages!r} (titles-texts); "
                            f"mention_candidate_json_file_paths has {', '.join(self.paths) or 'no file'}")  # fmt: skip
        if languages not in self._files:
            self._files[languages] = _read_object(path, languages)
        names = self._files[languages].get(title)
        if names is None:
            return None
        if not isinstance(names, dict):
            raise DataError(f'{path}: "{title}": expected an object {{surface: entity name}}, found {describe(names)}')
        for surface, name in names.items():
            if not isinstance(name, str):
                raise DataError(f'{path}: "{title}": {describe(surface)}: expected the name of an entity, found '
                                f"{describe(name)}")  # fmt: skip
        return names


def _read_object(path: str, languages: str) -> dict[str, Any]:
    try:
        content = parse_json(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        key = "dataset_reader.wiki_entity_linker"
        where = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
        raise DataError(f"{path}: no such file{where}; expected mention candidates, {{title: {{surface: entity "
                        "name}}. If it has moved: -o "
                        f"'{{\"{key}.mention_candidate_json_file_paths.{languages}\": \"FILE\"}}'; to go on without "
                        f"entities: -o '{{\"{key}\": null}}'") from None  # fmt: skip
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected one JSON object {{title: {{surface: entity name}}}}, found "
                        f"{describe(content)}")  # fmt: skip
    return content
