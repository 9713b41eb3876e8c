"""Archives of strangers: members that would leave the folder, bombs, and a config that asks for more than a model."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from luke_tasks.errors import ArchiveError, CheckpointError, LukeTasksError
from luke_tasks.predictor import load
from luke_tasks.training import archive, unpacking
from luke_tasks.untrusted import parse_json
from tests.training.runs import train


def packed(path: Path, *members: tuple[str, bytes, bytes | int]) -> Path:
    """A tar.gz of (name, type, content or size claimed)."""
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "config.json"
            data = content if isinstance(content, bytes) else b""
            member.size = len(data) if isinstance(content, bytes) else content
            tar.addfile(member, io.BytesIO(data) if data else None)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ArchiveError) as raised, archive.unpacked(path):
        pass
    message = str(raised.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


REG = tarfile.REGTYPE


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (("../x", REG, b""), "refused: a member would leave the folder, or is no file: '../x'"),
        (("a/../../x", REG, b""), "refused: a member would leave the folder, or is no file: 'a/../../x'"),
        (("/etc/x", REG, b""), "refused: a member would leave the folder, or is no file: '/etc/x'"),
        (("x", tarfile.SYMTYPE, b""), "or is no file: 'x' is a link, a device or a pipe"),
        (("x", tarfile.LNKTYPE, b""), "'x' is a link, a device or a pipe"),
        (("x", tarfile.CHRTYPE, b""), "'x' is a link, a device or a pipe"),
        (("x", tarfile.FIFOTYPE, b""), "'x' is a link, a device or a pipe"),
        (("config.json", REG, b"{}"), "refused: it has the member 'config.json' twice"),
        (("./config.json", REG, b"{}"), "refused: it has the member './config.json' twice"),
        (("x" * 201, REG, b""), "refused: the name of a member is longer than 200 characters: 'xxx"),
        (("x", REG, 2**40), "would unpack to more than 64 GiB"),
        (("x", REG, 2**31), "refused: would unpack to 2,147,483,650 bytes and more, over 100 times its own size"),
        (("x", tarfile.GNUTYPE_SPARSE, 0), "refused: has a sparse file"),
        (("x", tarfile.XHDTYPE, 2**33), "refused: has a header of 8,589,934,592 bytes"),
        (("x", tarfile.GNUTYPE_LONGNAME, 2**33), "refused: has a header of 8,589,934,592 bytes"),
    ],
)  # fmt: skip
def test_members(member: tuple[str, bytes, Any], expected: str, tmp_path: Path) -> None:
    assert expected in refusal(packed(tmp_path / "m.tar.gz", ("config.json", REG, b"{}"), member))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.tar.gz"]


def test_many_members(tmp_path: Path) -> None:
    path = packed(tmp_path / "m.tar.gz", *((str(number), REG, b"") for number in range(unpacking.MOST_MEMBERS + 1)))
    assert refusal(path) == "refused: it has more than 1000 members"


def test_one_folder_again_and_again(tmp_path: Path) -> None:
    path = packed(tmp_path / "m.tar.gz", *[("a", tarfile.DIRTYPE, b"")] * (unpacking.MOST_MEMBERS + 1))
    assert refusal(path) == "refused: it has more than 1000 members"


def test_a_bomb_behind_the_last_member(tmp_path: Path) -> None:
    path = packed(tmp_path / "m.tar.gz", ("config.json", REG, b"{}"))
    with path.open("ab") as file:
        file.write(gzip.compress(bytes(unpacking.MOST_AFTER + 2**21), 1))
    assert refusal(path) == "refused: more than 67,108,864 bytes follow its last member"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_luke_dir: Path, ner_files: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = {
        "dataset_reader": {"type": "conll_span", "max_sequence_length": 64},
        "train_data_path": ner_files["valid"],
        "model": {"encoder": {"type": "luke", "pretrained": str(tiny_luke_dir)}, "head": {"type": "ner"}},
        "data_loader": {"batch_size": 8},
        "trainer": {"num_epochs": 1, "cuda_device": -1, "optimizer": {"type": "adamw", "lr": 1e-3}},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert train(folder / "config.json", folder / "run") == 0
    return folder / "run"


def changed(whole: Path, folder: Path, name: str, **values: Any) -> Path:
    """A copy of the run, with other values in one of its JSON files."""
    shutil.copytree(whole, folder)
    content = parse_json((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps({**content, **values}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "values",
    [{"vocab_size": 10**9}, {"num_hidden_layers": 10**6}, {"intermediate_size": 2**30}, {"entity_vocab_size": 10**9},
     {"max_position_embeddings": 2**30}],
    ids=lambda values: next(iter(values)),
)  # fmt: skip
def test_sizes_beyond_the_weights(values: dict[str, int], whole: Path, tmp_path: Path) -> None:
    run_dir = changed(whole, tmp_path / "run", "encoder/config.json", **values)
    with pytest.raises(CheckpointError, match=r"they are not of one checkpoint$"):
        load(run_dir)


def test_nothing_is_imported_or_read_from_the_environment(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a dotted type, nor a marker that Jsonnet would replace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "42")
    (tmp_path / "evil.py").write_text("open('evil-was-here', 'w').close()", encoding="utf-8")
    reader = {"type": "evil.Reader", "encoding": "std.extVar('SECRET')"}
    with pytest.raises(LukeTasksError) as raised:
        load(changed(whole, tmp_path / "run", "config.json", dataset_reader=reader))
    assert 'no Reader is registered as "evil.Reader"' in str(raised.value)
    assert "42" not in str(raised.value)
    assert "evil" not in sys.modules and not (tmp_path / "evil-was-here").exists()


def test_deep_brackets(whole: Path, tmp_path: Path) -> None:
    """Found by fuzzing: Python's reader raises RecursionError, which is no ValueError."""
    run_dir = changed(whole, tmp_path / "run", "meta.json")
    (run_dir / "config.json").write_text('{"a":' * 5000, encoding="utf-8")
    with pytest.raises(ArchiveError, match="its brackets are nested too deeply"):
        load(run_dir)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"special_tokens": {"cls": 0, "sep": 2, "pad": 1, "mask": 4, "unknown": 10**6}}, "has id 1000000, beyond"),
        (
            {"special_tokens": {"cls": "luke", "sep": 2, "pad": 1, "mask": 4, "unknown": 3}},
            "special_tokens.cls: expected",
        ),
        ({"num_words": "many"}, "num_words: expected a positive integer"),
        ({"num_words": 3}, "word pieces for 3 embeddings"),
        ({"num_words": 10**9}, "its tokenizer numbers 1000000000 word pieces, but its encoder has"),
        ({"pair_layout": {"num_separators": 10**9}}, "pair_layout: expected at most 4 separators"),
    ],
)
def test_ids_of_the_tokenizer(values: dict[str, Any], expected: str, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as raised:
        load(changed(whole, tmp_path / "run", "tokenizer/special.json", **values))
    assert expected in str(raised.value)


def test_a_vocabulary_that_would_be_counted_through(whole: Path, tmp_path: Path) -> None:
    """Found by fuzzing: the Rust library goes from 0 to the largest id, and aborts when memory ends."""
    run_dir = changed(whole, tmp_path / "run", "meta.json")
    path = run_dir / "tokenizer" / "tokenizer.json"
    content = parse_json(path.read_text(encoding="utf-8"))
    content["model"]["vocab"]["!"] = 140_000_000_000
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArchiveError, match="it has the id 140000000000; expected one below ten million"):
        load(run_dir)


def test_labels_without_the_one_for_no_entity(whole: Path, tmp_path: Path) -> None:
    """Found by fuzzing."""
    run_dir = changed(whole, tmp_path / "run", "meta.json")
    path = run_dir / "vocabulary" / "labels.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("O\n", "0\n", 1), encoding="utf-8")
    with pytest.raises(LukeTasksError, match="none of them is 'O', which a span that is no entity gets"):
        load(run_dir)


def test_what_an_archive_names_is_not_fetched(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    from luke_tasks.trained import _keep_off_the_hub

    asked: list[dict[str, Any]] = []

    def download(name: str, **options: Any) -> str:
        asked.append(options)
        raise LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    class Part:
        def __init__(self, **values: Any) -> None:
            self.values = values

    class Config:
        class parts:
            dataset_reader = Part(wiki_entity_linker=Part(entity_vocab_path="someone/else"))
            validation_dataset_reader = None

    with pytest.raises(ArchiveError, match="what an archive names is not fetched"):
        _keep_off_the_hub(tmp_path, Config())  # type: ignore[arg-type]
    assert [options["local_files_only"] for options in asked] == [True]
