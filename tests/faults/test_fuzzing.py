"""The short form of `scripts/fuzz.py`: some hundred cases of every target; and readers under hypothesis."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luke_tasks.errors import ConfigError, DataError, Fault, printable
from luke_tasks.readers.records import json_lines
from luke_tasks.untrusted import parse_json
from tests.readers.letters import reader

ROOT = Path(__file__).parents[2]
FAST = ["reader-conll_span", "reader-conll_tokens", "reader-entity_typing", "reader-relation_classification",
        "reader-record", "reader-transformers_squad", "reader-sequence_classification", "reader-multiple_choice",
        "reader-masked_text", "reader-input", "mention-candidates", "entity-vocabulary", "sentencepiece",
        "pretrained-pickle"]  # fmt: skip
SLOW = ["config-file", "config-overrides", "config-values", "archive-file", "archive-parts", "archive-allennlp",
        "huggingface", "pretrained-encoder", "pretrained-tokenizer", "recover", "bombs-encoder",
        "bombs-parts"]  # fmt: skip


@pytest.mark.parametrize(("targets", "cases"), [(FAST, 2800), (SLOW, 190)], ids=["fast", "slow"])
def test_nothing_is_found(targets: list[str], cases: int) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "fuzz.py"), "--cases", str(cases), "--only", *targets]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nall " in done.stdout


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_as_a_conll_file(content: bytes, tmp_path: Path) -> None:
    logging.disable(logging.CRITICAL)
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    try:
        reader().read_encoded(path)
    except DataError as error:
        assert str(error).startswith(str(path)) and str(error).isprintable()
    finally:
        logging.disable(logging.NOTSET)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.text(max_size=100) | JSON.map(repr))
def test_any_text_as_json_lines(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line.encode("utf-8", "replace"))
    try:
        assert all(isinstance(record, dict) for record, _ in json_lines(path, "utf-8"))
    except DataError as error:
        assert str(error).isprintable()


@given(text=st.text())
def test_messages_are_printable(text: str) -> None:
    """What a file holds cannot steer the terminal that shows an error."""
    for line in (*str(ConfigError([Fault(text, text)])).split("\n"), str(DataError(text)), printable(text)):
        assert all(sign.isprintable() or sign in "\u200c\u200d" for sign in line)


def test_deep_json() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)


def test_deep_candidates(tmp_path: Path) -> None:
    """Found by fuzzing."""
    from luke_tasks.readers.entity_linker import JsonEntityLinker

    (tmp_path / "c.json").write_text('{"a":' * 5000, encoding="utf-8")
    linker = JsonEntityLinker(mention_candidate_json_file_paths={"en-en": str(tmp_path / "c.json")})
    with pytest.raises(DataError, match="nested too deeply"):
        linker.names_of("a", "en", "en")
