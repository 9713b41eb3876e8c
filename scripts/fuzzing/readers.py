"""Readers: files of every form, raw input of `predict`, and the linker's candidates."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from fuzzing.mutations import mutated, mutated_json_file
from fuzzing.runner import Case
from fuzzing.samples import CANDIDATES, READERS, TITLED
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.errors import DataError
from luke_tasks.experiment_config import discover_all
from luke_tasks.readers.reader import Reader
from luke_tasks.readers.squad import SquadReader
from tests.tiny import tiny_bert, tiny_luke, tiny_mluke

JSON = (".json", ".jsonl")


def _tokenizers(folder: Path) -> list[Tokenizer]:
    makers = {"luke": tiny_luke, "mluke": tiny_mluke, "bert": tiny_bert}
    return [Tokenizer.from_pretrained(str(make(folder / name))) for name, make in makers.items()]


def _reader(name: str, tokenizer: Tokenizer, options: dict[str, Any]) -> Reader:
    """As an experiment builds it: with the word pieces that its task adds."""
    reader: Reader = Reader.registered()[name](tokenizer=tokenizer, **options)
    tokenizer.add_words(reader.added_words)
    return reader


def _changed(rng: random.Random, ending: str, data: bytes, others: list[bytes]) -> bytes:
    return mutated_json_file(rng, data, others) if ending in JSON else mutated(rng, data, others)


def files(name: str, folder: Path) -> Case:
    """A file of the reader's format, read and cut into windows."""
    discover_all()
    tokenizers = _tokenizers(folder)
    samples = READERS[name]
    readers = [[_reader(name, tokenizer, options) for tokenizer in tokenizers] for options, _, _ in samples]
    others = [data for _, _, data in samples]

    def case(rng: random.Random) -> None:
        chosen = rng.randrange(len(samples))
        _, ending, data = samples[chosen]
        path = folder / f"data{ending}"
        path.write_bytes(_changed(rng, ending, data, others))
        reader = rng.choice(readers[chosen])
        examples, features = reader.read_encoded(path)
        for example in examples[:50]:
            list(reader.labels_of(example))

    return case


def inputs(folder: Path) -> Case:
    """Lines as `predict` reads them, for every reader."""
    discover_all()
    tokenizers = _tokenizers(folder)
    cases: list[tuple[Reader, list[bytes]]] = []
    for name, samples in READERS.items():
        for options, ending, data in samples:
            records = data.splitlines() if ending == ".jsonl" else [b"Beyonc\xc3\xa9 lives in Los Angeles ."]
            records += [b'{"text": "Paris is old .", "spans": [[0, 5]], "head": [0, 5], "tail": [6, 8]}',
                        b'{"words": ["Paris", "is", "old"], "span": [0, 1]}',
                        b'{"context": "Paris is old .", "question": "What ?", "choices": ["a", "b"]}']  # fmt: skip
            cases += [(_reader(name, tokenizer, options), records) for tokenizer in tokenizers]

    def case(rng: random.Random) -> None:
        reader, records = rng.choice(cases)
        data = mutated_json_file(rng, rng.choice(records), records)
        try:
            line = data.decode("utf-8").replace("\n", " ")
        except UnicodeDecodeError:
            raise DataError("input:1: not UTF-8") from None  # `predict` says so before a reader sees it
        reader.encode([reader.parse_line(line, "input:1")])

    return case


def mention_candidates(folder: Path) -> Case:
    """The file that a question's titles are looked up in."""
    import json

    from luke_tasks.readers.entity_linker import JsonEntityLinker

    tokenizer = _tokenizers(folder)[0]
    data = folder / "squad.json"
    data.write_text(json.dumps(TITLED), encoding="utf-8")
    path = folder / "candidates.json"
    whole = json.dumps(CANDIDATES).encode()

    def case(rng: random.Random) -> None:
        path.write_bytes(mutated_json_file(rng, whole))
        linker: Any = JsonEntityLinker(mention_candidate_json_file_paths={"en-en": str(path)})
        SquadReader(tokenizer=tokenizer, wiki_entity_linker=linker).read_encoded(data)

    return case
