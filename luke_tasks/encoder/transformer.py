"""Any encoder of `transformers` that reads words only: the baselines that LUKE is compared with.

Enters: a `Batch`; its entities are not read. Leaves: a contextual vector of each word piece, from which span and pair
heads make theirs.

Shapes: B windows, W word pieces, D hidden size.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from luke_tasks.data.batch import Batch
from luke_tasks.data.hub import checkpoint_dir, read_json
from luke_tasks.encoder.encoder import EmbeddingTables, Encoder, EncoderOutput, Pooler
from luke_tasks.encoder.limits import build_without_memory, check_no_code, check_size
from luke_tasks.encoder.weights import Weights
from luke_tasks.errors import CheckpointError, ConfigError, DataError, Fault
from luke_tasks.registry import Fraction, Provided
from luke_tasks.untrusted import reason_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

logger = logging.getLogger(__name__)

# What BERT and its kin call them, then DistilBERT.
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")


@Encoder.register("transformer", constructor="from_pretrained")
class TransformerEncoder(Encoder):
    """BERT, RoBERTa, XLM-R, ELECTRA, DeBERTa and the like, through `AutoModel`.

    Args:
        model: what `AutoModel` gives. Its own pooler is taken away: where nothing reads it, it would get no gradient.
        pooler: whether to give `pooled`, by a pooler that starts as the model's where this has one of BERT's form.
    """

    has_entities = False

    def __init__(self, *, model: PreTrainedModel, pooler: bool = False) -> None:
        super().__init__()
        self.model = model
        self.hidden_size = model.config.hidden_size
        self.layer_norm_eps = float(getattr(model.config, "layer_norm_eps", self.layer_norm_eps))
        self.pooler = Pooler(self.hidden_size) if pooler else None
        published: Any = getattr(model, "pooler", None)
        if self.pooler is not None and isinstance(getattr(published, "dense", None), torch.nn.Linear):
            self.pooler.dense.load_state_dict(published.dense.state_dict())
        if published is not None:
            model.register_module("pooler", None)
        self.max_word_length = _max_word_length(model)

    @classmethod
    def from_pretrained(
        cls,
        *,
        pretrained: str,
        dropout: Fraction | None = None,
        load_weights: Provided[bool] = True,
        pooler: Provided[bool] = False,
    ) -> TransformerEncoder:
        """Build the encoder of a checkpoint.

        Args:
            pretrained: a folder, a hub name, or `embedded:minilm`.
            dropout: of hidden vectors and of attention probabilities; by default as the checkpoint's config says.
            load_weights: False builds from `config.json` alone, with random weights.
            pooler: whether the head reads the pooled vector.
        Raises:
            CheckpointError: the checkpoint cannot be found or read.
        """
        from transformers import AutoConfig, AutoModel
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        directory = checkpoint_dir(pretrained, weights=load_weights)
        path = directory / "config.json"
        check_no_code(read_json(path), path)
        try:
            stored = Weights.open(directory) if load_weights else None
            if stored is not None:
                check_size(read_json(path), stored, path)  # before defaults are laid below it, and lists made of counts
            config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
            if dropout is not None:
                _set_dropout(config, dropout)
            if stored is None:  # sizes of an archive's are looked at by `limits.check_own`
                return cls(model=AutoModel.from_config(config, trust_remote_code=False), pooler=pooler)
            check_size(config.to_dict(), stored, path)
            build_without_memory(config, stored, path)
            model, found = AutoModel.from_pretrained(
                directory, config=config, local_files_only=True, trust_remote_code=False, output_loading_info=True
            )
        except CheckpointError:
            raise
        except Exception as error:  # transformers raises whatever its many readers raise
            raise CheckpointError(f"{directory}: transformers cannot load it: {reason_of(error)}") from error
        missing = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
        if missing:  # transformers would go on with random weights
            raise CheckpointError(f"{directory}: missing tensors: {', '.join(missing[:8])}")
        has_pooler = hasattr(getattr(model, "pooler", None), "dense")
        if pooler and not (has_pooler and "pooler.dense.weight" not in found["missing_keys"]):
            logger.info("%s: has no pooler; a new one is trained", directory)
        return cls(model=model.float(), pooler=pooler)

    def forward(self, batch: Batch) -> EncoderOutput:
        """Encode the words of a batch."""
        words = batch.word_ids.size(1)
        if words > self.max_word_length:
            raise DataError(f"a window of {words} word pieces: this encoder reads at most {self.max_word_length}")
        inputs: dict[str, Any] = {"input_ids": batch.word_ids, "attention_mask": batch.word_mask.long()}  # (B, W)
        if batch.word_type_ids is not None and getattr(self.model.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = batch.word_type_ids  # (B, W)
        hidden = self.model(**inputs).last_hidden_state  # (B, W, D)
        pooled = self.pooler(hidden) if self.pooler is not None else None  # (B, D)
        return EncoderOutput(word_hidden=hidden, pooled=pooled, tables=self.embedding_tables())

    def checkpoint_gradients(self) -> None:
        if not self.model.supports_gradient_checkpointing:
            name = type(self.model).__name__
            raise ConfigError([Fault("trainer.gradient_checkpointing", f"{name} cannot; remove this key")])
        self.model.config.use_cache = False  # which is for decoders; a warning says that the two do not go together
        self.model.activation_checkpointing_enable({"use_reentrant": False})

    def embedding_tables(self) -> EmbeddingTables:
        weight = self.model.get_input_embeddings().weight
        assert isinstance(weight, torch.Tensor)
        return EmbeddingTables(weight, None)

    @property
    def num_words(self) -> int:
        return int(self.model.config.vocab_size)

    def add_words(self, copied_from: Sequence[int]) -> None:
        first = int(self.model.config.vocab_size)
        table = self.model.resize_token_embeddings(first + len(copied_from), mean_resizing=False)
        with torch.no_grad():
            table.weight[first:] = table.weight[list(copied_from)]

    def save_config(self, directory: Path) -> None:
        """Write `config.json`, from which `from_pretrained(load_weights=False)` rebuilds this encoder."""
        self.model.config.save_pretrained(directory)


def _max_word_length(model: PreTrainedModel) -> int:
    """Positions of the model, less those that RoBERTa and its kin leave out: they start at padding_idx + 1."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit <= 0:
        return sys.maxsize  # relative positions: no limit
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding_idx = getattr(table, "padding_idx", None)  # set by RoBERTa-like models only
    return limit if padding_idx is None else limit - padding_idx - 1


def _set_dropout(config: PretrainedConfig, dropout: float) -> None:
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, dropout)
