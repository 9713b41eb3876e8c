"""The LUKE encoder (Yamada et al. 2020): a transformer over words and entities together.

Enters: a `Batch` of word pieces and entities with their spans. Leaves: a contextual vector of each. The input
representation is section 3.1, entity-aware attention section 3.2 (in `attention.py`). Parameters bear the names of
published checkpoints and of `transformers`' LukeModel, so that weights go in and out unchanged.

Shapes: B windows, W word pieces, E entities, H heads, D hidden size; R = B·(W+E) rows, see `Layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from luke_tasks.data.batch import Batch, covered_pieces
from luke_tasks.data.hub import SPECIAL_ENTITIES, checkpoint_dir
from luke_tasks.encoder.attention import AttentionChoice, Layout, SelfAttention
from luke_tasks.encoder.dropout import Dropout
from luke_tasks.encoder.encoder import EmbeddingTables, Encoder, EncoderOutput, Pooler
from luke_tasks.encoder.limits import check_size
from luke_tasks.encoder.linear import Linear
from luke_tasks.encoder.plain_cpu import is_on_plain_cpu
from luke_tasks.encoder.pretrained import LukeConfig, read_config, read_weights, write_config
from luke_tasks.encoder.shared_attention import SharedPattern
from luke_tasks.encoder.unfilled import unfilled
from luke_tasks.encoder.weights import Weights
from luke_tasks.errors import CheckpointError, DataError
from luke_tasks.files import replacing, write_json
from luke_tasks.registry import Fraction, Provided

__all__ = ["LukeConfig", "LukeEncoder"]


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": nn.functional.gelu,
    "gelu_new": partial(nn.functional.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(nn.functional.gelu, approximate="tanh"),
    "relu": nn.functional.relu,
}


EntityDevice = Literal["device", "cpu"]


class WordEmbeddings(nn.Module):
    """Word + position + segment, normalised (section 3.1). Positions are RoBERTa's: the first is padding_idx + 1."""

    def __init__(self, config: LukeConfig) -> None:
        super().__init__()
        self.padding_idx = config.pad_token_id
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=self.padding_idx)
        self.position_embeddings = nn.Embedding(
            config.max_position_embeddings, config.hidden_size, padding_idx=self.padding_idx
        )
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, word_ids: Tensor, word_mask: Tensor, word_type_ids: Tensor | None) -> Tensor:
        mask = word_mask.long()  # (B, W)
        position_ids = mask.cumsum(dim=1) * mask + self.padding_idx  # (B, W)
        if word_type_ids is None:
            word_type_ids = torch.zeros_like(word_ids)  # (B, W)
        embedded = self.word_embeddings(word_ids) + self.position_embeddings(position_ids)
        embedded = embedded + self.token_type_embeddings(word_type_ids)  # (B, W, D)
        return self.dropout(self.LayerNorm(embedded))


class TableOnCpu(nn.Embedding):
    """Embeddings that stay on the CPU wherever the model goes; the vectors that are looked up follow it."""

    def forward(self, ids: Tensor) -> Tensor:
        """(...) to (..., K), on the device of `ids`."""
        return super().forward(ids.to(self.weight.device)).to(ids.device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TableOnCpu:
        """As `nn.Module`'s, which every move and change of type goes through; of a move, nothing is done here."""

        def in_place(tensor: Tensor) -> Tensor:
            return tensor.to(fn(tensor.new_empty(0)).dtype)

        super()._apply(in_place, recurse)
        return self


class EntityEmbeddings(nn.Module):
    """Entity + mean of the positions of its word pieces + segment, normalised (section 3.1)."""

    def __init__(self, config: LukeConfig, on: EntityDevice = "device") -> None:
        super().__init__()
        # No padding_idx: [PAD] is row 0 of LUKE's entity vocabulary but not of every one, and padding is masked anyway.
        table = TableOnCpu if on == "cpu" else nn.Embedding
        self.entity_embeddings = table(config.entity_vocab_size, config.entity_emb_size)
        self.entity_embedding_dense: nn.Module = nn.Identity()
        if config.entity_emb_size != config.hidden_size:
            self.entity_embedding_dense = Linear(config.entity_emb_size, config.hidden_size, bias=False)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, entity_ids: Tensor, spans: Tensor, words: int, type_ids: Tensor | None = None) -> Tensor:
        """From ids (B, E) and spans (B, E, 2) over the `words` word pieces of a window, to (B, E, D)."""
        if type_ids is None:
            type_ids = torch.zeros_like(entity_ids)  # (B, E)
        embedded = self.entity_embedding_dense(self.entity_embeddings(entity_ids))  # (B, E, D)
        embedded = embedded + self._mean_positions(spans, words) + self.token_type_embeddings(type_ids)
        return self.dropout(self.LayerNorm(embedded))

    def _mean_positions(self, spans: Tensor, words: int) -> Tensor:
        """The mean position embedding of each span; zeros for an empty one (padding).

        A product with the 0/1 matrix of which word pieces a span covers: nothing of shape (B, E, M, D), no number that
        only the device knows, and exact, since 0 and 1 are exact in any precision.
        """
        covered = covered_pieces(spans, words)  # (B, E, W)
        table = self.position_embeddings.weight[:words]  # (W, D)
        with torch.autocast(table.device.type, enabled=False):
            total = covered.to(table.dtype) @ table  # (B, E, D)
        return total / (spans[..., 1:] - spans[..., :1]).clamp(min=1)


class Residual(nn.Module):
    """A projection, then the sum with what went into the sub-layer, normalised."""

    def __init__(self, config: LukeConfig, *, in_size: int) -> None:
        super().__init__()
        self.dense = Linear(in_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, inner: Tensor, residual: Tensor, activation: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(inner, activation)) + residual)  # (R, D)


class AttentionBlock(nn.Module):
    """Self-attention with its residual."""

    def __init__(self, config: LukeConfig, attention: AttentionChoice) -> None:
        super().__init__()
        self.self = SelfAttention(
            hidden_size=config.hidden_size, num_heads=config.num_attention_heads,
            entity_aware=config.use_entity_aware_attention, dropout=config.attention_probs_dropout_prob,
            attention=attention,
        )  # fmt: skip
        self.output = Residual(config, in_size=config.hidden_size)

    def forward(self, hidden: Tensor, layout: Layout, rows: Tensor | None = None) -> Tensor:
        mixed = self.self(hidden, layout)
        if rows is not None:
            mixed, hidden = mixed[rows], hidden[rows]
        return self.output(mixed, hidden)  # (R, D), or (R', D)


class Intermediate(nn.Module):
    """The wide half of the feed-forward block."""

    def __init__(self, config: LukeConfig) -> None:
        super().__init__()
        if config.hidden_act not in ACTIVATIONS:
            raise CheckpointError(f"config.json: hidden_act {config.hidden_act!r}: supported: {', '.join(ACTIVATIONS)}")
        self.dense = Linear(config.hidden_size, config.intermediate_size)
        self.hidden_act = config.hidden_act

    def forward(self, hidden: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor] | None]:
        """(R, intermediate_size), and the activation that is still to be applied to it, if any."""
        activated = self.dense.activated(hidden, self.hidden_act)
        return (activated, None) if activated is not None else (self.dense(hidden), ACTIVATIONS[self.hidden_act])


class Layer(nn.Module):
    """Attention, then feed-forward, over words and entities together.

    `forward` with (R',) `rows` gives the vectors of these alone, (R', D).
    """

    def __init__(self, config: LukeConfig, attention: AttentionChoice) -> None:
        super().__init__()
        self.attention = AttentionBlock(config, attention)
        self.intermediate = Intermediate(config)
        self.output = Residual(config, in_size=config.intermediate_size)
        self.checkpoint_gradients = False

    def forward(self, hidden: Tensor, layout: Layout, rows: Tensor | None = None) -> Tensor:
        if self.checkpoint_gradients and self.training:
            # In here and not around the layer, whose hooks (FSDP2's) are to run once. The second time draws the same
            # masks: their seeds come from torch's generator, which is set back.
            again: Tensor = checkpoint(self._run, hidden, layout, rows, use_reentrant=False)
            return again
        return self._run(hidden, layout, rows)

    def _run(self, hidden: Tensor, layout: Layout, rows: Tensor | None) -> Tensor:
        hidden = self.attention(hidden, layout, rows)
        wide, activation = self.intermediate(hidden)
        return self.output(wide, hidden, activation)  # (R, D), or (R', D)


class Layers(nn.Module):
    """The stack of layers; a module of its own because checkpoints name it `encoder.layer`."""

    def __init__(self, config: LukeConfig, attention: AttentionChoice) -> None:
        super().__init__()
        self.layer = nn.ModuleList([Layer(config, attention) for _ in range(config.num_hidden_layers)])

    def forward(self, hidden: Tensor, layout: Layout, rows: Tensor | None = None) -> Tensor:
        """From (R, D) to (R, D); with (R',) `rows` the others are zeros, which the last layer need not compute."""
        for number, layer in enumerate(self.layer, start=1):
            hidden = layer(hidden, layout, rows if number == len(self.layer) else None)
        if rows is None or not len(self.layer):
            return hidden
        num_rows = layout.windows * (layout.words + layout.entities)
        return hidden.new_zeros(num_rows, hidden.size(1)).index_copy(0, rows, hidden)


@Encoder.register("luke", constructor="from_pretrained")
class LukeEncoder(Encoder):
    """LUKE, mLUKE, LUKE-Japanese and their lite variants, or a fresh LUKE begun from RoBERTa, XLM-R or BERT.

    Args:
        config: the numbers of the model.
        attention: how attention is computed, see `SelfAttention`.
        pooler: whether to keep the checkpoint's pooler; off where the head does not read it: it would get no gradient.
        entity_embeddings_on: see `from_pretrained`.
    """

    has_entities = True

    def __init__(
        self, *, config: LukeConfig, attention: AttentionChoice = "auto", pooler: bool = False,
        entity_embeddings_on: EntityDevice = "device",
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config
        self.attention = attention
        self.hidden_size = config.hidden_size
        self.layer_norm_eps, self.hidden_act = config.layer_norm_eps, config.hidden_act
        self.max_word_length = config.max_position_embeddings - config.pad_token_id - 1
        self.embeddings = WordEmbeddings(config)
        self.entity_embeddings = EntityEmbeddings(config, entity_embeddings_on)
        self.encoder = Layers(config, attention)
        self.pooler = Pooler(config.hidden_size) if pooler else None
        self.initialise()

    @classmethod
    def from_pretrained(
        cls,
        *,
        pretrained: str,
        use_entity_aware_attention: bool | None = None,
        entities: Literal["all", "special"] = "all",
        entity_embeddings_on: EntityDevice = "device",
        attention: AttentionChoice = "auto",
        dropout: Fraction | None = None,
        load_weights: Provided[bool] = True,
        pooler: Provided[bool] = False,
    ) -> LukeEncoder:
        """Build the encoder of a checkpoint.

        Args:
            pretrained: a folder, a hub name, or `embedded:minilm`.
            use_entity_aware_attention: by default as the checkpoint's config says; a fresh LUKE has it.
            entities: `special` keeps the embeddings of `[PAD]`, `[UNK]`, `[MASK]` and `[MASK2]` only, as ids 0 to 3 in
                this order: half a gigabyte less for LUKE, and enough for every task that names no entity.
            entity_embeddings_on: `cpu` keeps their table, its gradient and its share of the optimizer's state off the
                GPU (500K entities of size 256: 0.5 GB of weights, 2 GB in all with AdamW); each batch's vectors are
                moved. A step then takes as long as the CPU needs for the whole table, unless
                `trainer.optimizer.parameter_groups` freezes it.
            attention: how attention is computed; `eager` is the reference, `fused` faster and smaller, `auto` takes
                what the device and the dropout allow.
            dropout: of hidden vectors and of attention probabilities; by default as the checkpoint's config says.
            load_weights: False builds from `config.json` alone; its weights are to be loaded before they are used.
            pooler: whether the head reads the pooled vector. A checkpoint without a pooler gets a new one.
        Raises:
            CheckpointError: the checkpoint cannot be found, read, or made a LUKE.
        """
        directory = checkpoint_dir(pretrained, weights=load_weights)
        config = read_config(directory, use_entity_aware_attention=use_entity_aware_attention, entities=entities)
        if load_weights:
            check_size(config.to_json(), Weights.open(directory), directory / "config.json")
        if dropout is not None:
            config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
        if not load_weights:
            with unfilled():
                return cls(config=config, attention=attention, pooler=pooler, entity_embeddings_on=entity_embeddings_on)
        with torch.device("meta"), unfilled():  # no memory, no random numbers, for weights that are replaced at once
            encoder = cls(config=config, attention=attention, pooler=pooler, entity_embeddings_on=entity_embeddings_on)
        shapes = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
        weights = read_weights(
            directory, shapes, use_entity_aware_attention=use_entity_aware_attention, entities=entities
        )
        encoder.load_state_dict(weights.tensors, assign=True)
        return encoder

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw every weight anew, as BERT does."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                module.weight.normal_(std=self.config.initializer_range)
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.zero_()
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()

    def forward(self, batch: Batch) -> EncoderOutput:
        """Encode a batch; without `entity_ids`, or with none in them, words alone."""
        words = batch.word_ids.size(1)
        if words > self.max_word_length:
            raise DataError(f"a window of {words} word pieces: this encoder reads at most {self.max_word_length}")
        word_hidden = self.embeddings(batch.word_ids, batch.word_mask, batch.word_type_ids)  # (B, W, D)
        layout = Layout(word_hidden.size(0), words, 0, _padding_mask(batch.word_mask), None)
        hidden = word_hidden.flatten(0, 1)  # (R, D), R = B·(W+E)
        if batch.entity_ids is not None and batch.entity_ids.size(1) > 0:
            assert batch.entity_spans is not None and batch.entity_mask is not None  # a Batch has all three or none
            entity_hidden = self.entity_embeddings(batch.entity_ids, batch.entity_spans, words, batch.entity_type_ids)
            layout = layout._replace(
                entities=entity_hidden.size(1),
                entity_mask=_padding_mask(batch.entity_mask),
                pattern=SharedPattern.of(batch),
            )
            hidden = layout.join(word_hidden, entity_hidden)
        hidden = self.encoder(hidden, layout, self._rows_read(batch, layout))
        word_hidden, entity_hidden = layout.split(hidden)  # (B, W, D), (B, E, D)
        pooled = self.pooler(word_hidden) if self.pooler is not None else None  # (B, D)
        output = EncoderOutput(word_hidden=word_hidden, pooled=pooled, tables=self.embedding_tables())
        if batch.entity_ids is not None:
            output.entity_hidden = entity_hidden
        return output

    def _rows_read(self, batch: Batch, layout: Layout) -> Tensor | None:
        """The rows (R',) whose last vectors are read; None: all. A subclass with its own `forward` may read any."""
        words_read = batch.words_read
        if words_read is None or type(self).forward is not LukeEncoder.forward:
            return None
        if self.pooler is not None:
            words_read = words_read.clone()
            words_read[:, 0] = True
        entities_read = words_read.new_ones(layout.windows, layout.entities)
        return layout.join(words_read, entities_read).nonzero().squeeze(1)  # (R',)

    def checkpoint_gradients(self) -> None:
        for layer in self.encoder.layer:
            assert isinstance(layer, Layer)
            layer.checkpoint_gradients = True

    def embedding_tables(self) -> EmbeddingTables:
        words, entities = self.embeddings.word_embeddings, self.entity_embeddings.entity_embeddings
        return EmbeddingTables(words.weight, entities.weight)

    @property
    def num_words(self) -> int:
        return self.config.vocab_size

    def add_words(self, copied_from: Sequence[int]) -> None:
        table = self.embeddings.word_embeddings
        rows = torch.cat([table.weight.detach(), table.weight.detach()[list(copied_from)]])
        self.embeddings.word_embeddings = nn.Embedding.from_pretrained(
            rows, freeze=False, padding_idx=table.padding_idx
        )
        self.config = replace(self.config, vocab_size=len(rows))

    def save_config(self, directory: Path) -> None:
        """Write `config.json`, from which `from_pretrained(load_weights=False)` rebuilds this encoder."""
        write_config(self.config, directory)

    def save_pretrained(self, directory: Path) -> None:
        """Write a checkpoint in the published format: `transformers.LukeModel.from_pretrained` reads it too.

        Where only the special entities are kept, `entity_vocab.json` with their ids is written beside it.
        """
        from safetensors.torch import save_file

        self.save_config(directory)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        with replacing(directory / "model.safetensors") as partial:
            save_file(tensors, partial, metadata={"format": "pt"})
        if self.config.special_entities_only:
            write_json(directory / "entity_vocab.json", {entity: i for i, entity in enumerate(SPECIAL_ENTITIES)})


def _padding_mask(mask: Tensor) -> Tensor | None:
    """None where the mask (B, N) is True everywhere, as far as that is known without waiting for a GPU."""
    mask = mask.bool()
    if is_on_plain_cpu(mask) and bool(mask.all()):
        return None
    return mask
