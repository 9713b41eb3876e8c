"""What every encoder offers the heads: contextual vectors of word pieces and of entities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.errors import ConfigError, Fault
from luke_tasks.registry import Registrable


class EmbeddingTables(NamedTuple):
    """The weights of the input embeddings, which the decoders of masked language modelling share."""

    words: Tensor  # (vocabulary, K) K is D for most encoders
    entities: Tensor | None  # (entities, K'); None where the encoder has none


@dataclass
class EncoderOutput:
    """Shapes as in `Batch`; D is the encoder's hidden size."""

    word_hidden: Tensor  # (B, W, D)
    entity_hidden: Tensor | None = None  # (B, E, D); None where the encoder or the batch has no entities
    pooled: Tensor | None = None  # (B, D) of the whole window; None where the encoder was built without its pooler
    tables: EmbeddingTables | None = None  # for heads that predict words and entities


class Pooler(nn.Module):
    """The first word piece's vector, projected: what BERT, RoBERTa and LUKE classify whole texts by."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)

    def forward(self, word_hidden: Tensor) -> Tensor:
        return self.dense(word_hidden[:, 0]).tanh()  # (B, D)


class Encoder(Registrable, nn.Module, ABC):
    """Base of encoders. `model.encoder` in a config.

    The constructor that is registered takes `pretrained: str`, whose tokenizer is used unless the config's top level
    names another, and `load_weights: Provided[bool] = True`; with False, `pretrained` is a folder where `save_config`
    wrote, and the weights come later. That is how archives load. For heads that classify whole texts it also takes
    `pooler: Provided[bool] = False`; with True, `forward` gives `pooled`.
    """

    default_implementation = "luke"

    hidden_size: int  # D
    max_word_length: int  # longest sequence of word pieces it can read, special tokens included
    has_entities: bool  # whether it reads entity ids and gives `entity_hidden`
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"

    @abstractmethod
    def forward(self, batch: Batch) -> EncoderOutput:
        """Encode a batch."""

    def checkpoint_gradients(self) -> None:
        """From here on, keep for the gradient only what goes into each layer, and compute the rest again.

        Raises:
            ConfigError: this encoder cannot.
        """
        raise ConfigError([Fault("trainer.gradient_checkpointing", f"{type(self).__name__} cannot; remove this key")])

    @property
    @abstractmethod
    def num_words(self) -> int:
        """Rows of the word embeddings."""

    def embedding_tables(self) -> EmbeddingTables | None:
        """Its input embeddings; None (the default): it cannot be trained by masked language modelling."""
        return None

    @abstractmethod
    def add_words(self, copied_from: Sequence[int]) -> None:
        """Append a row to the word embeddings for each id in `copied_from`, starting as a copy of that id's row."""

    @abstractmethod
    def save_config(self, directory: Path) -> None:
        """Write what rebuilds this encoder without its weights (`config.json`), for archives."""
