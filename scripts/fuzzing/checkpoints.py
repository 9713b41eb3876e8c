"""Published checkpoints: configs, weights, tokenizers, entity vocabularies; and fine-tuned ones of Hugging Face."""

from __future__ import annotations

import io
import json
import pickle
import random
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fuzzing.archives import _changed
from fuzzing.mutations import mutated, mutated_json_file
from fuzzing.runner import Case
from luke_tasks.data.hub import read_entity_vocab
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.luke import LukeEncoder
from luke_tasks.encoder.transformer import TransformerEncoder
from luke_tasks.encoder.weights import read_pickle
from luke_tasks.predictor import Predictor
from luke_tasks.trained import load_trained
from tests.data.spm import mluke_files, model_bytes, trained
from tests.interop.checkpoints import NER, QA, TEXT_CLASSES, fine_tuned
from tests.tiny import tiny_bert, tiny_luke, tiny_mluke, tiny_roberta


class _Damaged:
    """A folder of which one file at a time is damaged, and mended afterwards."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, [name for name in names if (folder / name).exists()]
        self.wholes = {name: (folder / name).read_bytes() for name in self.names}

    def __call__(self, rng: random.Random) -> None:
        for name, whole in self.wholes.items():
            (self.folder / name).write_bytes(whole)
        name = rng.choice(self.names)
        changed = _changed(rng, name, self.wholes[name], list(self.wholes.values()))
        (self.folder / name).write_bytes(changed)


def encoders(folder: Path) -> Case:
    """The encoder of a LUKE, RoBERTa or BERT checkpoint."""
    names = [
        "config.json",
        "config.json",
        "model.safetensors",
        "entity_vocab.json",
        "tokenizer_config.json",
        "vocab.json",
    ]
    makers = {"luke": tiny_luke, "roberta": tiny_roberta, "bert": tiny_bert}
    damaged = {name: _Damaged(make(folder / name), names) for name, make in makers.items()}

    def case(rng: random.Random) -> None:
        chosen = rng.choice(list(damaged))
        damaged[chosen](rng)
        pretrained = str(folder / chosen)
        if chosen != "luke" and rng.random() < 0.5:
            TransformerEncoder.from_pretrained(pretrained=pretrained)
        else:
            LukeEncoder.from_pretrained(pretrained=pretrained, entities=rng.choice(("all", "special")))

    return case


class _Evil:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("open('/tmp/fuzz-was-here', 'w').close()",))


def pickles(folder: Path) -> Case:
    """Weights as `torch.save` writes them, old form and new, and pickles that would run code."""
    tensors = dict(load_file(tiny_luke(folder / "luke") / "model.safetensors"))
    tensors = {name: tensors[name] for name in sorted(tensors)[:4]}
    wholes = []
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        buffer = io.BytesIO()
        torch.save(tensors, buffer, **options)
        wholes.append(buffer.getvalue())
    wholes += [pickle.dumps({"a": _Evil()}), pickle.dumps([1, 2]), pickle.dumps({"a": torch.ones(2)}, protocol=2)]
    path = folder / "weights.th"

    def case(rng: random.Random) -> None:
        path.write_bytes(mutated(rng, rng.choice(wholes), wholes))
        for tensor in read_pickle(path).values():
            tensor[:1].to(torch.float32)
        assert not Path("/tmp/fuzz-was-here").exists(), "a pickle ran code"

    return case


def tokenizers(folder: Path) -> Case:
    """Every form of a published tokenizer."""
    names = ["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "vocab.txt", "added_tokens.json",
             "config.json"]  # fmt: skip
    makers = {"luke": tiny_luke, "mluke": tiny_mluke, "roberta": tiny_roberta, "bert": tiny_bert}
    damaged = {name: _Damaged(make(folder / name), names) for name, make in makers.items()}

    def case(rng: random.Random) -> None:
        chosen = rng.choice(list(damaged))
        damaged[chosen](rng)
        tokenizer = Tokenizer.from_pretrained(str(folder / chosen))
        tokenizer.words_to_pieces(["Beyoncé", "lives", "\u2028", "x" * 300])
        tokenizer.texts_to_offset_pieces(["Beyoncé lives in Los Angeles ."])

    return case


def entity_vocabularies(folder: Path) -> Case:
    """The three forms of an entity vocabulary."""
    special = ["[PAD]", "[UNK]", "[MASK]", "[MASK2]"]
    lines = [{"id": number, "entities": [[name, "en"]], "count": 1} for number, name in enumerate([*special, "Japan"])]
    wholes = {
        "entity_vocab.json": json.dumps({name: number for number, name in enumerate(special)}).encode(),
        "entity_vocab.tsv": "".join(f"{name}\t1\n" for name in special).encode(),
        "entity_vocab.jsonl": "".join(json.dumps(line) + "\n" for line in lines).encode(),
    }

    def case(rng: random.Random) -> None:
        for name in wholes:
            (folder / name).unlink(missing_ok=True)
        name = rng.choice(list(wholes))
        change = mutated if name.endswith(".tsv") else mutated_json_file
        (folder / name).write_bytes(change(rng, wholes[name]))
        read_entity_vocab(folder)

    return case


def sentencepiece(folder: Path) -> Case:
    """An mLUKE's SentencePiece model, with its normalisation table where `sentencepiece` is there to make one."""
    wholes = [model_bytes(), *([trained()] if find_spec("sentencepiece") else [])]
    checkpoint = mluke_files(folder / "mluke")
    path = checkpoint / "sentencepiece.bpe.model"

    def case(rng: random.Random) -> None:
        path.write_bytes(mutated(rng, rng.choice(wholes), wholes))
        tokenizer = Tokenizer.from_pretrained(str(checkpoint))
        tokenizer.words_to_pieces(["Beyoncé", "ﬁne", "\u2028", "ｱ"])
        tokenizer.texts_to_offset_pieces(["ﬁne ｱ x"])

    return case


def huggingface(folder: Path) -> Case:
    """A fine-tuned checkpoint, which predicts."""
    names = ["config.json", "config.json", "model.safetensors", "entity_vocab.json", "tokenizer_config.json"]
    damaged = {kind: _Damaged(fine_tuned(folder / kind, kind), names) for kind in (NER, QA, TEXT_CLASSES)}
    record = {"text": "Beyoncé lives in Los Angeles", "context": "London is the capital", "question": "What ?"}

    def case(rng: random.Random) -> None:
        kind = rng.choice(list(damaged))
        damaged[kind](rng)
        predictor = Predictor(load_trained(folder / kind), cuda_device=-1)
        json.dumps(predictor([record])[0].to_json())

    return case
