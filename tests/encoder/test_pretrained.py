"""Checkpoints in and out: the identity for LUKEs, a fresh LUKE from RoBERTa and BERT, and every message."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from luke_tasks.data.batch import Batch
from luke_tasks.data.hub import checkpoint_dir
from luke_tasks.encoder.luke import LukeConfig, LukeEncoder
from luke_tasks.encoder.pretrained import read_weights, word_mask_id
from luke_tasks.errors import CheckpointError
from tests.encoder.test_luke import assert_close_to, random_batch, reference, reference_inputs
from tests.tiny import needs_minilm, tiny_bert, tiny_luke, tiny_mluke, tiny_roberta


def load(directory: Path, **options: Any) -> LukeEncoder:
    return LukeEncoder.from_pretrained(pretrained=str(directory), **options).eval()


def same_state(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def edit_config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in content.items() if value != "absent"}))


def edit_weights(directory: Path, edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = directory / "model.safetensors"
    save_file(edit(load_file(path)), path, metadata={"format": "pt"})


def failure(directory: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as raised:
        load(directory, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message.replace(str(directory), "DIR")


@pytest.fixture
def luke(tmp_path: Path) -> Path:
    return tiny_luke(tmp_path / "luke")


# Reading and writing LUKEs


@pytest.mark.parametrize(
    "make, overrides",
    [
        (tiny_luke, {}),
        (tiny_mluke, {}),
        (tiny_mluke, {"vocab_size": 99, "entity_emb_size": 16, "tokenizer_class": "MLukeTokenizer"}),  # LUKE-Japanese
        (tiny_luke, {"entity_vocab_size": 6}),  # lite
        (tiny_luke, {"use_entity_aware_attention": False}),
    ],
)
def test_loading_and_saving_are_the_identity(make: Any, overrides: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = make(tmp_path / "published", **overrides)
    encoder = load(checkpoint)
    encoder.save_pretrained(tmp_path / "saved")
    published = {name: t for name, t in load_file(checkpoint / "model.safetensors").items() if "pooler" not in name}
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert saved.keys() == published.keys()
    assert all(torch.equal(saved[name], published[name]) for name in saved)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (checkpoint, tmp_path / "saved")]
    assert configs[0] == configs[1]
    assert not (tmp_path / "saved" / "entity_vocab.json").exists()
    assert same_state(load(tmp_path / "saved"), encoder)


@pytest.mark.parametrize("make, options", [(tiny_luke, {}), (tiny_luke, {"entities": "special"}), (tiny_roberta, {}),
                                           (tiny_bert, {})])  # fmt: skip
def test_transformers_reads_what_we_save(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
    encoder = load(make(tmp_path / "start"), **options)
    encoder.save_pretrained(tmp_path / "saved")
    model, found = transformers.LukeModel.from_pretrained(
        tmp_path / "saved", add_pooling_layer=False, output_loading_info=True
    )
    assert not found["missing_keys"] and not found["unexpected_keys"]
    batch = random_batch(0)
    batch.word_ids.remainder_(140).masked_fill_(~batch.word_mask, model.config.pad_token_id)
    batch.word_ids[batch.word_mask & (batch.word_ids == model.config.pad_token_id)] = 5
    batch.entity_ids.remainder_(4)
    with torch.no_grad():
        expected, found = model.eval()(**reference_inputs(batch)), encoder(batch)
    assert_close_to(found.word_hidden, expected.last_hidden_state)
    assert_close_to(found.entity_hidden, expected.entity_last_hidden_state)
    assert same_state(load(tmp_path / "saved"), encoder)
    if encoder.config.special_entities_only:
        assert same_state(load(tmp_path / "saved", entities="special"), encoder)
        vocab = json.loads((tmp_path / "saved" / "entity_vocab.json").read_text())
        assert vocab == {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "[MASK2]": 3}


@pytest.mark.parametrize(
    "make, options",
    [
        (tiny_luke, {}),
        (tiny_luke, {"entities": "special", "dropout": 0.3}),
        (tiny_luke, {"use_entity_aware_attention": False}),
        (tiny_bert, {}),
    ],
)
def test_an_archive_rebuilds_from_its_config(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
    encoder = load(make(tmp_path / "start"), **options)
    (tmp_path / "archive").mkdir()
    encoder.save_config(tmp_path / "archive")
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["config.json"]
    rebuilt = load(tmp_path / "archive", load_weights=False, **options)
    assert rebuilt.config == encoder.config
    rebuilt.load_state_dict(encoder.state_dict())
    batch = random_batch(0)
    batch.word_ids.remainder_(140)
    batch.entity_ids.remainder_(4)
    with torch.no_grad():
        assert torch.equal(rebuilt(batch).word_hidden, encoder(batch).word_hidden)


def test_a_fresh_start_is_drawn_as_bert_does(luke: Path) -> None:
    torch.manual_seed(0)
    encoder = LukeEncoder(config=load(luke).config)
    words = encoder.embeddings.word_embeddings.weight
    assert abs(words.std().item() - 0.02) < 0.001 and not words[1].any()
    assert torch.equal(encoder.embeddings.LayerNorm.weight, torch.ones(16))
    assert not encoder.encoder.layer[0].output.dense.bias.any()


def test_the_pooler_is_kept_where_asked(luke: Path) -> None:
    encoder = LukeEncoder(config=load(luke).config, pooler=True)
    weights = read_weights(luke, {name: tuple(t.shape) for name, t in encoder.state_dict().items()})
    encoder.load_state_dict(weights.tensors)
    model = transformers.LukeModel.from_pretrained(luke).eval()
    assert weights.unused == []
    batch = random_batch(0)
    with torch.no_grad():
        found = encoder.eval().pooler(encoder(batch).word_hidden)
        assert_close_to(found, model(**reference_inputs(batch)).pooler_output)


@pytest.mark.parametrize(
    "architecture", ["LukeForMaskedLM", "LukeForEntitySpanClassification", "LukeForQuestionAnswering"]
)
def test_a_task_heads_checkpoint_is_read(architecture: str, tmp_path: Path) -> None:
    checkpoint = tiny_luke(tmp_path, architecture=architecture)
    encoder = load(checkpoint)
    assert same_state(encoder, reference(checkpoint))
    shapes = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    unused = read_weights(checkpoint, shapes).unused
    head = {"LukeForMaskedLM": "lm_head.dense.weight", "LukeForQuestionAnswering": "qa_outputs.weight"}
    assert head.get(architecture, "classifier.weight") in unused


def test_tied_tensors_kept_under_the_heads_name(tmp_path: Path) -> None:
    checkpoint = tiny_luke(tmp_path, architecture="LukeForMaskedLM")
    expected = load(checkpoint)
    edit_weights(checkpoint, lambda tensors: {
        {"luke.entity_embeddings.entity_embeddings.weight": "entity_predictions.decoder.weight",
         "luke.embeddings.word_embeddings.weight": "lm_head.decoder.weight"}.get(name, name): tensor
        for name, tensor in tensors.items() if name not in ("lm_head.decoder.weight",)
    })  # fmt: skip
    assert same_state(load(checkpoint), expected)


def test_pickled_and_older_names(luke: Path) -> None:
    expected = load(luke)
    tensors = load_file(luke / "model.safetensors")
    (luke / "model.safetensors").unlink()
    older = {}
    for name, tensor in tensors.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        older[f"luke.{name}"] = tensor
    older["luke.embeddings.position_ids"] = torch.arange(70)
    torch.save(older, luke / "pytorch_model.bin")
    assert same_state(load(luke), expected)
    torch.save(older, luke / "pytorch_model.bin", _use_new_zipfile_serialization=False)  # before torch 1.6
    assert same_state(load(luke), expected)
    assert same_state(load(luke, entities="special"), load(luke, entities="special"))


def test_half_precision_is_widened(luke: Path) -> None:
    edit_weights(luke, lambda tensors: {name: tensor.half() for name, tensor in tensors.items()})
    assert {tensor.dtype for tensor in load(luke, entities="special").state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("kind", ["safetensors", "pickle"])
def test_shards(luke: Path, kind: str) -> None:
    expected = load(luke)
    tensors = load_file(luke / "model.safetensors")
    (luke / "model.safetensors").unlink()
    names = sorted(tensors)
    stem, ending = ("model", "safetensors") if kind == "safetensors" else ("pytorch_model", "bin")
    where = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"{stem}-{number:05}-of-00002.{ending}"
        chosen = {name: tensors[name] for name in part}
        save_file(chosen, luke / file) if kind == "safetensors" else torch.save(chosen, luke / file)
        where.update(dict.fromkeys(part, file))
    index = luke / f"{stem}.{ending}.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    assert same_state(load(luke), expected)
    (luke / f"{stem}-00002-of-00002.{ending}").unlink()
    assert failure(luke) == f"DIR/{stem}-00002-of-00002.{ending}: no such file; {index.name} names it"
    index.write_text("{}")
    assert failure(luke) == f"DIR/{index.name}: expected a 'weight_map' from tensor names to files"


def test_the_file_may_change_after_loading(luke: Path) -> None:
    encoder = load(luke)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    path = luke / "model.safetensors"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(path.stat().st_size // 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_entity_queries_start_from_the_query_where_asked_for(tmp_path: Path) -> None:
    checkpoint = tiny_luke(tmp_path, use_entity_aware_attention=False)
    encoder = load(checkpoint, use_entity_aware_attention=True)
    assert encoder.config.use_entity_aware_attention
    for layer in encoder.encoder.layer:
        attention = layer.attention.self
        for copy in (attention.w2e_query, attention.e2w_query, attention.e2e_query):
            assert torch.equal(copy.weight, attention.query.weight) and torch.equal(copy.bias, attention.query.bias)
            assert copy.weight.data_ptr() != attention.query.weight.data_ptr()
    plain = load(checkpoint)
    assert not plain.config.use_entity_aware_attention
    batch = random_batch(0)
    with torch.no_grad():
        assert_close_to(encoder(batch).entity_hidden, plain(batch).entity_hidden)


def test_entity_queries_that_are_there_are_kept(luke: Path) -> None:
    assert same_state(load(luke, use_entity_aware_attention=True), load(luke))
    assert not hasattr(load(luke, use_entity_aware_attention=False).encoder.layer[0].attention.self, "w2e_query")


def test_entity_vocabulary_inside_the_tokenizers_config(luke: Path) -> None:
    """Where transformers 5 puts it when a tokenizer is saved."""
    expected = load(luke, entities="special")
    vocab = json.loads((luke / "entity_vocab.json").read_text())
    (luke / "entity_vocab.json").unlink()
    (luke / "tokenizer_config.json").write_text(json.dumps({"entity_vocab": vocab}))
    assert same_state(load(luke, entities="special"), expected)


# A fresh LUKE


@pytest.mark.parametrize(
    "make, architecture",
    [
        (tiny_bert, "BertModel"), (tiny_bert, "BertForMaskedLM"), (tiny_bert, "BertForTokenClassification"),
        (tiny_roberta, "RobertaModel"), (tiny_roberta, "RobertaForMaskedLM"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("entity_aware", [True, False])
def test_fresh_luke_reads_words_as_its_start(make: Any, architecture: str, entity_aware: bool, tmp_path: Path) -> None:
    checkpoint = make(tmp_path, architecture=architecture)
    encoder = load(checkpoint, use_entity_aware_attention=entity_aware)
    model = transformers.AutoModel.from_pretrained(checkpoint).eval()
    batch = random_batch(0, types=model.config.type_vocab_size)
    words = Batch(
        word_ids=batch.word_ids.remainder(130).clamp(min=2).masked_fill(~batch.word_mask, model.config.pad_token_id),
        word_mask=batch.word_mask,
        word_type_ids=batch.word_type_ids,
    )
    with torch.no_grad():
        expected, found = model(**reference_inputs(words)).last_hidden_state, encoder(words).word_hidden
    assert_close_to(found[words.word_mask], expected[words.word_mask])


@pytest.mark.parametrize("make, positions, longest", [(tiny_bert, 65, 64), (tiny_roberta, 70, 68)])
def test_fresh_luke_starts_entities_from_the_word_side(make: Any, positions: int, longest: int, tmp_path: Path) -> None:
    checkpoint = make(tmp_path)
    encoder = load(checkpoint)
    assert (encoder.config.max_position_embeddings, encoder.max_word_length) == (positions, longest)
    assert encoder.config.use_entity_aware_attention
    words, entities = encoder.embeddings, encoder.entity_embeddings
    first = encoder.config.pad_token_id + 1
    assert torch.equal(
        entities.position_embeddings.weight[:longest], words.position_embeddings.weight[first : first + longest]
    )
    assert not entities.position_embeddings.weight[longest:].any()
    assert torch.equal(entities.token_type_embeddings.weight, words.token_type_embeddings.weight)
    assert torch.equal(entities.LayerNorm.weight, words.LayerNorm.weight)
    table = entities.entity_embeddings.weight
    mask = transformers.AutoTokenizer.from_pretrained(checkpoint).mask_token_id
    assert table.shape == (4, 16) and not table[0].any()
    assert torch.equal(table[2], words.word_embeddings.weight[mask]) and torch.equal(table[3], table[2])
    assert 0.01 < table[1].std() < 0.04
    assert same_state(load(checkpoint), encoder)  # [UNK] too
    assert same_state(load(checkpoint, entities="special"), encoder)


def test_a_mask_entity_on_one_piece_is_the_mask_word_there(tmp_path: Path) -> None:
    for make in (tiny_bert, tiny_roberta):
        encoder = load(make(tmp_path / make.__name__))
        mask_id = word_mask_id(tmp_path / make.__name__, "bert" if make is tiny_bert else "roberta")
        with torch.no_grad():
            words = encoder.embeddings(torch.full((1, 9), mask_id), torch.ones(1, 9, dtype=torch.bool), None)
            spans = torch.arange(9)[None, :, None] + torch.tensor([0, 1])
            entities = encoder.entity_embeddings(torch.full((1, 9), 2), spans, 9)
        torch.testing.assert_close(entities, words, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kept", ["tokenizer.json", "vocab.txt"])
def test_the_mask_words_id_from_any_file(kept: str, tmp_path: Path) -> None:
    checkpoint = tiny_bert(tmp_path)
    for path in checkpoint.glob("*"):
        if path.name not in (kept, "config.json", "model.safetensors"):
            path.unlink()
    assert word_mask_id(checkpoint, "bert") == 4


def test_the_mask_words_id_from_json_vocabularies(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 0, "<mask>": 9}')
    assert word_mask_id(tmp_path, "roberta") == 9
    (tmp_path / "special_tokens_map.json").write_text('{"mask_token": {"content": "<m>", "lstrip": true}}')
    (tmp_path / "added_tokens.json").write_text('{"<m>": 12}')
    assert word_mask_id(tmp_path, "roberta") == 12
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": [["<s>", 0.0], ["<m>", -1.0]]}, "added_tokens": []}')
    assert word_mask_id(tmp_path, "xlm-roberta") == 1


# What goes wrong


class Malice:
    """Unpickled by an unsafe reader, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_not_run(luke: Path, tmp_path: Path, zipped: bool) -> None:
    (luke / "model.safetensors").unlink()
    torch.save({"a": Malice(tmp_path / "touched")}, luke / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert failure(luke) == (
        "DIR/pytorch_model.bin: refused: it holds objects other than tensors, which could run code when read, "
        "or is truncated"
    )
    assert not (tmp_path / "touched").exists()
    (luke / "pytorch_model.bin").write_bytes(pickle.dumps(Malice(tmp_path / "touched")))
    failure(luke)
    assert not (tmp_path / "touched").exists()


def test_truncated_files_are_named(luke: Path) -> None:
    path = luke / "model.safetensors"
    whole = path.read_bytes()
    for length in (0, 5, 1000, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert failure(luke).startswith("DIR/model.safetensors: cannot be read as safetensors, perhaps truncated: ")
    path.unlink()
    path = luke / "pytorch_model.bin"
    torch.save(load(tiny_luke(luke.parent / "other")).state_dict(), path)
    whole = path.read_bytes()
    for length in (0, 5, 1000, len(whole) - 1):
        path.write_bytes(whole[:length])
        message = failure(luke)
        assert message.startswith("DIR/pytorch_model.bin: ") and "truncated" in message
    torch.save([torch.zeros(2)], path)
    assert failure(luke) == "DIR/pytorch_model.bin: expected tensors by name, found list"


def test_no_weights(luke: Path) -> None:
    (luke / "model.safetensors").unlink()
    assert failure(luke) == "DIR: holds no weights; expected model.safetensors or pytorch_model.bin"


def test_missing_tensors_are_named(luke: Path) -> None:
    edit_weights(luke, lambda tensors: {name: t for name, t in tensors.items() if "layer.1.output.dense" not in name})
    assert failure(luke) == (
        "DIR/model.safetensors: missing tensors: encoder.layer.1.output.dense.bias, encoder.layer.1.output.dense.weight"
    )
    edit_weights(luke, lambda tensors: {name: t for name, t in tensors.items() if "layer.0" not in name})
    assert failure(luke).endswith("encoder.layer.0.attention.self.e2w_query.weight and 16 more")


def test_entity_queries_are_missed_where_not_asked_for(tmp_path: Path) -> None:
    checkpoint = tiny_luke(tmp_path, use_entity_aware_attention=False, num_hidden_layers=1)
    edit_config(checkpoint, use_entity_aware_attention=True)
    self = "encoder.layer.0.attention.self"
    assert failure(checkpoint) == "DIR/model.safetensors: missing tensors: " + ", ".join(
        f"{self}.{query}.{part}" for query in ("e2e_query", "e2w_query", "w2e_query") for part in ("bias", "weight")
    )


@pytest.mark.parametrize("entities", ["all", "special"])
@pytest.mark.parametrize("rows", [11, 13])
def test_more_or_fewer_rows_than_the_config_says(luke: Path, entities: str, rows: int) -> None:
    edit_config(luke, entity_vocab_size=rows)
    assert failure(luke, entities=entities) == (
        "DIR/model.safetensors: entity_embeddings.entity_embeddings.weight: found shape 12×8, "
        f"expected {rows}×8 from config.json"
    )
    edit_config(luke, entity_vocab_size=12, vocab_size=400)
    assert failure(luke, entities=entities) == (
        "DIR/model.safetensors: embeddings.word_embeddings.weight: found shape 343×16, expected 400×16 from config.json"
    )


def test_a_berts_positions_are_named_in_its_own_numbers(tmp_path: Path) -> None:
    checkpoint = tiny_bert(tmp_path)
    edit_config(checkpoint, max_position_embeddings=100)
    assert failure(checkpoint) == (
        "DIR/model.safetensors: embeddings.position_embeddings.weight: found shape 64×16, expected 100×16 "
        "from config.json"
    )


def test_special_entities_are_needed_where_only_they_are_kept(luke: Path) -> None:
    path = luke / "entity_vocab.json"
    path.write_text('{"[PAD]": 0, "[MASK]": 2}')
    assert failure(luke, entities="special") == "DIR/entity_vocab.json: no id for the special entities [UNK], [MASK2]"
    path.write_text('{"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "[MASK2]": 12}')
    assert failure(luke, entities="special") == (
        "DIR/model.safetensors: entity_embeddings.entity_embeddings.weight has 12 rows, but a special entity has id 12"
    )
    path.write_text("[]")
    assert failure(luke, entities="special") == "DIR/entity_vocab.json: expected a JSON object, found list"
    path.unlink()
    assert failure(luke, entities="special") == (
        "DIR/entity_vocab.json: no such file; it maps entity names to ids, and every LUKE checkpoint has one"
    )
    load(luke)  # where all are kept, their names are not needed


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"hidden_size": "absent", "vocab_size": "absent"}, "missing vocab_size, hidden_size"),
        ({"hidden_size": "16"}, "hidden_size: expected a positive integer, found '16'"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: expected a positive integer, found 0"),
        ({"vocab_size": True}, "vocab_size: expected a positive integer, found True"),
        ({"pad_token_id": None}, "pad_token_id: expected an integer of at least 0, found None"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps: expected a number of at least 0, found 'small'"),
        ({"use_entity_aware_attention": 1}, "use_entity_aware_attention: expected true or false, found 1"),
        ({"hidden_act": 3}, "hidden_act: expected a string, found 3"),
        ({"num_attention_heads": 3}, "hidden_size 16 is not a multiple of num_attention_heads 3"),
        ({"pad_token_id": 10**6, "vocab_size": 500}, "pad_token_id 1000000 is not below vocab_size 500"),
        ({"pad_token_id": 70, "vocab_size": 500, "max_position_embeddings": 64},
         "pad_token_id 70 is not below max_position_embeddings 64"),
        ({"model_type": "t5"},
         "model_type 't5' cannot become a LUKE; supported: luke, roberta, xlm-roberta, camembert, bert"),
        ({"model_type": "absent"},
         "model_type None cannot become a LUKE; supported: luke, roberta, xlm-roberta, camembert, bert"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"},
         "position_embedding_type 'relative_key' cannot become a LUKE; supported: 'absolute'"),
    ],
)  # fmt: skip
def test_faults_of_a_config(luke: Path, changes: dict[str, Any], message: str) -> None:
    edit_config(luke, **changes)
    assert failure(luke) == f"DIR/config.json: {message}"


def test_a_config_that_cannot_be_read(luke: Path) -> None:
    (luke / "config.json").write_text("{")
    assert failure(luke).startswith("DIR/config.json: cannot be read as JSON: ")
    (luke / "config.json").unlink()
    assert failure(luke) == "DIR/config.json: no such file; DIR does not hold a complete checkpoint"


def test_a_mask_word_that_cannot_be_found(tmp_path: Path) -> None:
    checkpoint = tiny_roberta(tmp_path)
    edit = json.loads((checkpoint / "vocab.json").read_text())
    (checkpoint / "vocab.json").write_text(json.dumps({**edit, "<mask>": 400}))
    assert failure(checkpoint) == (
        "DIR/model.safetensors: embeddings.word_embeddings.weight has 341 rows, but the mask token's id is 400"
    )
    (checkpoint / "vocab.json").unlink()
    assert failure(checkpoint) == (
        "DIR: no id for the mask token '<mask>' in tokenizer.json, vocab.json, vocab.txt or added_tokens.json; "
        "the [MASK] entity starts from its embedding"
    )


def test_config_keeps_what_it_does_not_know() -> None:
    content = {"vocab_size": 9, "entity_vocab_size": 5, "hidden_size": 8, "entity_emb_size": None,
               "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 20,
               "bert_model_name": "x"}  # fmt: skip
    config = LukeConfig.from_json(content)
    assert config.entity_emb_size == 8 and config.extra == {"bert_model_name": "x"}
    assert LukeConfig.from_json(config.to_json()).to_json() == config.to_json()


@needs_minilm
def test_embedded_minilm() -> None:
    encoder = load(Path("embedded:minilm"))
    model = transformers.AutoModel.from_pretrained(checkpoint_dir("embedded:minilm")).eval()
    batch = random_batch(0)
    words = Batch(word_ids=batch.word_ids + 1000, word_mask=batch.word_mask)
    with torch.no_grad():
        expected = model(words.word_ids, words.word_mask.long()).last_hidden_state
        found = encoder(words).word_hidden
    assert_close_to(found[words.word_mask], expected[words.word_mask])
    assert (encoder.hidden_size, encoder.max_word_length) == (384, 512)
