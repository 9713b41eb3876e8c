"""Published checkpoints of strangers: pickles, tensors that lie, configs that ask for code, damaged tokenizers."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.transformer import TransformerEncoder
from luke_tasks.encoder.weights import Weights, read_pickle
from luke_tasks.errors import CheckpointError, LukeTasksError
from luke_tasks.trained import load_trained
from luke_tasks.training.checkpoint import load_checkpoint
from tests.interop.checkpoints import NER, fine_tuned
from tests.tiny import tiny_bert, tiny_luke, tiny_roberta


class Evil:
    """A pickle of it runs code when it is read carelessly."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.witness)!r}, 'w').close()",))


@pytest.mark.parametrize("form", ["pickle", "zip", "old"])
def test_no_pickle_is_run(form: str, tmp_path: Path) -> None:
    path, witness = tmp_path / "pytorch_model.bin", tmp_path / "ran"
    if form == "pickle":
        path.write_bytes(pickle.dumps({"a": Evil(witness)}))
    else:
        torch.save({"a": Evil(witness)}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match="refused: it holds objects other than tensors"):
        read_pickle(path)
    assert not witness.exists()


def test_no_pickle_is_run_on_recovery(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    from safetensors.torch import save_file

    save_file(dict(model.state_dict()), tmp_path / "model.safetensors")
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    torch.save({"optimizer": Evil(tmp_path / "ran")}, tmp_path / "training.pt")
    with pytest.raises(CheckpointError, match=r"damaged checkpoint \(UnpicklingError"):
        load_checkpoint(tmp_path, model)
    assert not (tmp_path / "ran").exists()


def test_a_compressed_pickle_may_be_a_bomb(tmp_path: Path) -> None:
    stored, path = tmp_path / "stored.bin", tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.zeros(1000)}, stored)
    with zipfile.ZipFile(stored) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(CheckpointError, match="refused: its records are compressed"):
        read_pickle(path)


@pytest.mark.parametrize("kind", ["compressed", "expanded"])
def test_a_bomb_among_the_states_of_a_run(kind: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model, path = torch.nn.Linear(2, 2), tmp_path / "training.pt"
    save_file(dict(model.state_dict()), tmp_path / "model.safetensors")
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    torch.save({"optimizer": {"state": [{"exp_avg": torch.zeros(1).expand(10**9)}]}}, path)
    if kind == "compressed":
        with zipfile.ZipFile(path) as old:
            records = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name, record in records.items():
                new.writestr(name, record)
    with pytest.raises(CheckpointError, match=r"its records are compressed|found a sparse or repeated one"):
        load_checkpoint(tmp_path, model)


@pytest.mark.parametrize("kind", ["expanded", "sparse", "meta"])
def test_tensors_that_are_less_than_they_say(kind: str, tmp_path: Path) -> None:
    tensor = {"expanded": torch.zeros(1).expand(10**9), "sparse": torch.eye(3).to_sparse(),
              "meta": torch.zeros(10**9, device="meta")}[kind]  # fmt: skip
    torch.save({"a": tensor}, tmp_path / "pytorch_model.bin")
    with pytest.raises(
        CheckpointError, match=r"a: expected a plain tensor of numbers|cannot be read as PyTorch weights"
    ):
        read_pickle(tmp_path / "pytorch_model.bin")


def test_shards_stay_in_the_folder(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "../../secret.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(CheckpointError, match="expected one in the same folder"):
        Weights.open(tmp_path)


def edited(folder: Path, name: str = "config.json", **values: Any) -> str:
    """The folder, with other values in one of its JSON files."""
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps({**content, **values}), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    "values", [{"vocab_size": 10**9}, {"num_hidden_layers": 10**6}, {"intermediate_size": 2**30}],
    ids=lambda values: next(iter(values)),
)  # fmt: skip
@pytest.mark.parametrize("encoder", [LukeEncoder, TransformerEncoder])
def test_sizes_beyond_the_weights(encoder: Any, values: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"they are not of one checkpoint$"):
        encoder.from_pretrained(pretrained=edited(tiny_roberta(tmp_path / "roberta"), **values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"num_labels": 10**8}, "num_labels: expected at most 1,000,000, found 100000000"),
        ({"inner": {"num_hidden_layers": 10**8}}, "num_hidden_layers: expected at most 1,000,000, found 100000000"),
        ({"model_type": "albert", "num_hidden_groups": 10**8}, "describes a model far larger than model.safetensors"),
    ],
)
def test_counts_that_never_end(values: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as raised:
        TransformerEncoder.from_pretrained(pretrained=edited(tiny_bert(tmp_path / "bert"), **values))
    assert expected in str(raised.value)


@pytest.mark.parametrize("form", ["loaded by transformers", "of an archive"])
def test_normalizers_that_double_a_text(form: str, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    Tokenizer.from_pretrained(str(folder)).save(folder)
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    edited(folder, "tokenizer.json", normalizer={"type": "Sequence", "normalizers": [double] * 40})
    with pytest.raises(LukeTasksError, match=r"make a text up to 1.1e\+12 times as long; expected at most 10,000"):
        Tokenizer.load(folder) if form == "of an archive" else Tokenizer.from_pretrained(str(folder))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"vocab_size": 10**12}, "vocab_size: expected a positive integer"),
        ({"hidden_dropout_prob": 100.0}, "hidden_dropout_prob: expected a number between 0 and 1"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps: expected a number of at least 0"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps: expected a number of at least 0"),
    ],
)
def test_numbers_of_a_config(values: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as raised:
        LukeEncoder.from_pretrained(pretrained=edited(tiny_luke(tmp_path / "luke"), **values))
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "names code of its own, which is never run"),
        ({"attn_implementation": "someone/kernel"}, "'someone/kernel' would be fetched and run"),
        ({"quantization_config": {"quant_method": "x"}}, "needs packages of its own"),
    ],
)
def test_configs_that_ask_for_code(values: dict[str, Any], expected: str, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    (folder / "evil.py").write_text("raise SystemExit(3)", encoding="utf-8")
    with pytest.raises(CheckpointError) as raised:
        TransformerEncoder.from_pretrained(pretrained=edited(folder, **values))
    assert expected in str(raised.value)


def test_a_tokenizer_that_asks_for_code(tmp_path: Path) -> None:
    """Nothing is asked on the terminal, and nothing run; `transformers` takes its own class, or says no."""
    folder = tiny_roberta(tmp_path / "roberta")
    (folder / "evil.py").write_text("open('evil-was-here', 'w').close()", encoding="utf-8")
    edited(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    try:
        Tokenizer.from_pretrained(str(folder))
    except CheckpointError as error:
        assert "tokenizer cannot be loaded" in str(error)
    assert not Path("evil-was-here").exists() and not (folder / "evil-was-here").exists()


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("vocab.json", {"!": 140_000_000_000}, "it has the id 140000000000; expected one below ten million"),
        ("config.json", {"vocab_size": "many"}, "vocab_size"),
        ("added_tokens.json", {"<ent>": "x"}, "tokenizer"),
    ],
)
def test_damaged_tokenizers(name: str, values: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as raised:
        Tokenizer.from_pretrained(edited(tiny_luke(tmp_path / "luke"), name, **values))
    assert expected in str(raised.value) and "\n" not in str(raised.value)


def test_architectures_of_any_kind(tmp_path: Path) -> None:
    """Found by fuzzing."""
    folder = edited(fine_tuned(tmp_path / "ner", NER), architectures=[{"a": []}])
    with pytest.raises(CheckpointError, match="expected one of LukeForEntitySpanClassification"):
        load_trained(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"epoch": -1},
        {"step": "1"},
        {"seconds": None},
        {"finished": 1},
        {"best_scores": []},
        {"best_scores": {"f1": []}},
    ],
)
def test_states_of_a_run(values: dict[str, Any], tmp_path: Path) -> None:
    """Found by fuzzing: they went on to where they could not be used."""
    model = torch.nn.Linear(2, 2)
    from safetensors.torch import save_file

    save_file(dict(model.state_dict()), tmp_path / "model.safetensors")
    (tmp_path / "state.json").write_text(json.dumps(values), encoding="utf-8")
    torch.save({}, tmp_path / "training.pt")
    with pytest.raises(CheckpointError, match=f"damaged checkpoint .*state.json: {next(iter(values))} is "):
        load_checkpoint(tmp_path, model)
