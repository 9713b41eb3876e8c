"""Masked language modelling with masked entity prediction (LUKE, Yamada et al. 2020, section 3.3).

In: the encoded window. Out: for every hidden word piece a logit for each of the vocabulary, for every hidden entity one
for each of the entity vocabulary. Modules bear the names of `transformers`' LukeForMaskedLM.
Shapes: B windows, W word pieces, E entities, D hidden size, V word vocabulary, N entity vocabulary; the batch hides P
words and Q entities, and no window more than R of both.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import IGNORED_LABEL, Features
from luke_tasks.data.hub import SPECIAL_ENTITIES, checkpoint_dir, read_entity_vocab
from luke_tasks.data.labels import Labels
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.encoder.encoder import EmbeddingTables, Encoder, EncoderOutput
from luke_tasks.encoder.luke import ACTIVATIONS
from luke_tasks.encoder.weights import Weights
from luke_tasks.errors import CheckpointError, ConfigError, Fault
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics.masked import FillingScores
from luke_tasks.readers.masked_text import MaskedTextExample, MaskedTextFeatures
from luke_tasks.registry import PositiveInt, Provided

logger = logging.getLogger(__name__)

# Our names → theirs: of LUKE and RoBERTa, then of BERT.
_PUBLISHED = {
    "lm_head.dense.": ("lm_head.dense.", "cls.predictions.transform.dense."),
    "lm_head.layer_norm.": ("lm_head.layer_norm.", "cls.predictions.transform.LayerNorm."),
    "lm_head.bias": ("lm_head.bias", "lm_head.decoder.bias", "cls.predictions.bias", "cls.predictions.decoder.bias"),
    "lm_head.decoder.": ("lm_head.decoder.", "cls.predictions.decoder."),
    "entity_predictions.": ("entity_predictions.",),
}


@dataclass(frozen=True)
class Filling:
    """What may stand in a hidden place: a word piece, or the title of an entity."""

    text: str
    score: float  # probability


@dataclass(frozen=True)
class FilledPlace:
    """A hidden place, characters `[start, end)` of the text, and its likeliest fillings."""

    text: str  # as it stands in the text: the mask, or the entity's mention
    start: int
    end: int
    candidates: list[Filling]


@dataclass(frozen=True)
class MaskedTextPrediction(Shown):
    """The hidden words and entities of one text, in the order they stand."""

    task: ClassVar[str] = "masked_text"
    id: str
    text: str
    words: list[FilledPlace] = field(default_factory=list)
    entities: list[FilledPlace] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this text."""
        return asdict(self)


class Transform(nn.Module):
    """A projection, the activation, LayerNorm; then comes the decoder. The last of these is named as in checkpoints."""

    def __init__(self, in_size: int, out_size: int, *, activation: Callable[[Tensor], Tensor], eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(in_size, out_size)
        self.LayerNorm = nn.LayerNorm(out_size, eps=eps)
        self.activation = activation

    def forward(self, hidden: Tensor) -> Tensor:
        return self.LayerNorm(self.activation(self.dense(hidden)))


class WordDecoder(nn.Module):
    """RoBERTa's head: (..., D) → (..., V). GELU whatever the encoder's activation, as there.

    Args:
        tied: the decoder is the table of the word embeddings; else it has one of its own, which starts as a copy.
    """

    def __init__(self, hidden_size: int, table: Tensor, *, tied: bool, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, table.size(1))
        self.layer_norm = nn.LayerNorm(table.size(1), eps=eps)
        self.decoder = None if tied else nn.Linear(table.size(1), table.size(0), bias=False)
        if self.decoder is not None:
            self.decoder.weight.data.copy_(table.detach())
        self.bias = nn.Parameter(torch.zeros(table.size(0)))

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        hidden = self.layer_norm(nn.functional.gelu(self.dense(hidden)))  # (..., K)
        return nn.functional.linear(hidden, table if self.decoder is None else self.decoder.weight, self.bias)


class EntityDecoder(nn.Module):
    """(..., D) → (..., N), by the table of the entity embeddings (section 3.3)."""

    def __init__(self, hidden_size: int, table: Tensor, *, activation: Callable[[Tensor], Tensor], eps: float) -> None:
        super().__init__()
        self.transform = Transform(hidden_size, table.size(1), activation=activation, eps=eps)
        self.bias = nn.Parameter(torch.zeros(table.size(0)))

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        return nn.functional.linear(self.transform(hidden), table, self.bias)


@Head.register("masked_lm")
class MaskedLMHead(Head):
    """Fills hidden words and entities. The loss is the cross-entropy of hidden words plus that of hidden entities; a
    batch that hides none of one kind has the other's alone (`transformers`' is then not a number).

    It starts from the checkpoint's own decoders where it holds such (LUKE's, RoBERTa's, BERT's), or else anew.

    Args:
        hidden_size, encoder, tokenizer: of the model.
        labels: none.
        tie_word_embeddings: words are decoded by the word embeddings (LUKE, RoBERTa, BERT). False: by a table of the
            head's own, as `transformers` from version 5 keeps it for LUKE.
        top_k: fillings of a place that a prediction holds.
    """

    tasks: ClassVar[tuple[str, ...]] = ("masked_text",)
    metric_names: ClassVar[tuple[str, ...]] = FillingScores.names
    needs_entities = True

    def __init__(
        self,
        *,
        hidden_size: Provided[int],
        labels: Provided[Labels],
        encoder: Provided[Encoder],
        tokenizer: Provided[Tokenizer],
        tie_word_embeddings: bool = True,
        top_k: PositiveInt = 5,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.top_k = top_k
        self._tokenizer = tokenizer
        self._hidden_places = _find_hidden_places
        self._nameless = [tokenizer.entity_vocab[entity] for entity in SPECIAL_ENTITIES]  # never a filling
        self._entity_names = {id: name for name, id in reversed(tokenizer.entity_vocab.items())}  # the first of several
        tables = encoder.embedding_tables()
        if tables is None:
            raise ConfigError([Fault("model.encoder.type", "this encoder shows no embedding tables, which the head "
                                     '"masked_lm" decodes with; see Encoder.embedding_tables')])  # fmt: skip
        eps = encoder.layer_norm_eps
        self.lm_head = WordDecoder(hidden_size, tables.words, tied=tie_word_embeddings, eps=eps)
        self.entity_predictions = None
        if tables.entities is not None:
            activation = ACTIVATIONS[encoder.hidden_act]
            self.entity_predictions = EntityDecoder(hidden_size, tables.entities, activation=activation, eps=eps)

    def before_compile(self) -> None:
        """The loop over the windows stays in Python."""
        self._hidden_places = torch.compiler.disable(_find_hidden_places)

    def load_pretrained(self, pretrained: str) -> None:
        """Raises CheckpointError when a tensor has another shape than the encoder's config says."""
        directory = checkpoint_dir(pretrained)
        weights = Weights.open(directory)
        missing = []
        for name, parameter in self.named_parameters():
            prefix = next(prefix for prefix in _PUBLISHED if name.startswith(prefix))
            source = next((theirs + name.removeprefix(prefix) for theirs in _PUBLISHED[prefix]
                           if theirs + name.removeprefix(prefix) in weights.names), None)  # fmt: skip
            if source is None:
                missing.append(name)
                continue
            tensor = weights.read(source)
            if name == "entity_predictions.bias" and len(parameter) == len(SPECIAL_ENTITIES) < len(tensor):
                vocab = read_entity_vocab(directory)  # the encoder keeps these rows only
                tensor = tensor[[vocab[entity] for entity in SPECIAL_ENTITIES]]
            if tensor.shape != parameter.shape:
                raise CheckpointError(f"{weights.path}: {source}: found shape {tuple(tensor.shape)}, expected "
                                      f"{tuple(parameter.shape)} for model.head {name}")  # fmt: skip
            parameter.data.copy_(tensor)
        if missing:
            logger.info("%s: has no %s of the head; they are trained anew", weights.path, ", ".join(missing))
        self._warn_of_another_decoder(weights)

    def _warn_of_another_decoder(self, weights: Weights) -> None:
        decoder, table = "lm_head.decoder.weight", "embeddings.word_embeddings.weight"
        both = self.lm_head.decoder is None and {decoder, table} <= weights.names
        if both and not weights.read(decoder).equal(weights.read(table)):
            logger.warning("%s: %s is another table than the word embeddings; it is not used unless "
                           "model.head.tie_word_embeddings is false", weights.path, decoder)  # fmt: skip

    # -- logits and loss --------------------------------------------------------------------------------------------

    def word_logits(self, hidden: Tensor, tables: EmbeddingTables) -> Tensor:
        """(..., D) → (..., V)."""
        return self.lm_head(hidden, tables.words)

    def entity_logits(self, hidden: Tensor, tables: EmbeddingTables) -> Tensor:
        """(..., D) → (..., N)."""
        assert self.entity_predictions is not None and tables.entities is not None
        return self.entity_predictions(hidden, tables.entities)

    def words_read(self, batch: Batch) -> Tensor:
        read = torch.zeros_like(batch.word_ids, dtype=torch.bool)
        read[self._hidden_places(batch, "masked_words")] = True
        return read

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        """`logits` are (B, R, 2·top_k + 1): see `_candidates`; none in training, which does not read them."""
        assert encoded.tables is not None
        found: list[tuple[Tensor, Tensor, Tensor | None]] = []  # words, entities: rows of the batch, logits, gold ids
        rows, places = self._hidden_places(batch, "masked_words")
        gold = batch.labels[rows, 0, places] if batch.labels is not None else None  # (P,)
        logits = self.word_logits(encoded.word_hidden[rows, places], encoded.tables)  # (P, V)
        found.append((rows, logits, gold))
        if encoded.entity_hidden is not None and self.entity_predictions is not None:
            rows, places = self._hidden_places(batch, "masked_entities")
            gold = batch.labels[rows, 1, places] if batch.labels is not None else None  # (Q,)
            logits = self.entity_logits(encoded.entity_hidden[rows, places], encoded.tables)  # (Q, N)
            found.append((rows, logits, gold))
        loss = None
        if batch.labels is not None:
            losses = [
                nn.functional.cross_entropy(logits.float(), gold, ignore_index=IGNORED_LABEL)
                for _, logits, gold in found
                if gold is not None and bool((gold != IGNORED_LABEL).any())
            ]
            loss = torch.stack(losses).sum() if losses else encoded.word_hidden.sum() * 0.0
        return HeadOutput(logits=self._packed(batch, found), loss=loss)

    def _packed(self, batch: Batch, found: Sequence[tuple[Tensor, Tensor, Tensor | None]]) -> Tensor:
        """(B, R, 2·top_k + 1): of each window's hidden words, then its hidden entities, the candidates."""
        width = 2 * self.top_k + 1
        if self.training:
            return found[0][1].new_zeros(len(batch.features), 0, width)
        counts = [len(window.masked_words) + len(window.masked_entities) for window in batch.features]
        packed = torch.zeros(len(counts), max(counts), width, device=found[0][1].device)
        first = torch.zeros(len(counts), dtype=torch.long, device=packed.device)  # next free place of each window
        for (rows, logits, gold), unfit in zip(found, ([], self._nameless), strict=False):
            within = torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)  # rows are sorted
            packed[rows, first[rows] + within] = self._candidates(logits, gold, unfit)
            first += torch.bincount(rows, minlength=len(counts))
        return packed

    def _candidates(self, logits: Tensor, gold: Tensor | None, unfit: Sequence[int]) -> Tensor:
        """Of each place's (P, V or N) logits: probabilities of the likeliest but those of the ids `unfit`, their ids
        (-1 where there are fewer than `top_k`; exact in fp32 up to 2^24), and the log-probability of the right one
        (0 where it is not known): (P, 2·top_k + 1)."""
        log_probabilities = logits.float().log_softmax(-1)
        fit = log_probabilities.index_fill(-1, torch.tensor(unfit, dtype=torch.long, device=logits.device), -math.inf)
        best = fit.topk(min(self.top_k, logits.size(-1)), dim=-1)
        ids = best.indices.masked_fill(best.values == -math.inf, -1)
        missing = (0, self.top_k - best.indices.size(-1))
        of_gold = torch.zeros_like(log_probabilities[:, :1])  # (P, 1)
        if gold is not None:
            of_gold = log_probabilities.gather(1, gold.clamp(min=0)[:, None]) * (gold != IGNORED_LABEL)[:, None]
        parts = [
            nn.functional.pad(best.values.exp(), missing),
            nn.functional.pad(ids, missing, value=-1),
            of_gold,
        ]
        return torch.cat([part.float() for part in parts], dim=-1)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        assert isinstance(features, MaskedTextFeatures)
        return logits[row, : len(features.masked_words) + len(features.masked_entities)]

    # -- predictions and scores -------------------------------------------------------------------------------------

    def decode(self, example: MaskedTextExample, windows: Sequence[Window]) -> MaskedTextPrediction:
        prediction = MaskedTextPrediction(example.id, example.text)
        for features, rows in windows:
            assert isinstance(features, MaskedTextFeatures)
            num_words = len(features.masked_words)
            spans = zip(features.masked_offsets, rows[:num_words], strict=True)
            prediction.words.extend(self._place(example, *span, row, self._piece_text) for span, row in spans)
            if self.entity_predictions is not None:
                mentions = [features.mentions[place] for place in features.masked_entities]
                prediction.entities.extend(
                    self._place(example, mention.start, mention.end, row, self._entity_names.__getitem__)
                    for mention, row in zip(mentions, rows[num_words:], strict=True)
                )
        return prediction

    def _place(
        self, example: MaskedTextExample, start: int, end: int, row: Any, name: Callable[[int], str]
    ) -> FilledPlace:
        scores, ids = row[: self.top_k], row[self.top_k : -1].astype(np.int64)
        fillings = [Filling(name(int(id)), round(float(score), 6))
                    for id, score in zip(ids, scores, strict=True) if id >= 0]  # fmt: skip
        return FilledPlace(example.text[start:end], start, end, fillings)

    def _piece_text(self, id: int) -> str:
        """A word piece without the marks of its tokenizer; as it stands in the vocabulary where nothing is left."""
        backend = self._tokenizer.backend
        text: str = backend.decode([id], skip_special_tokens=False).strip()
        return text or backend.id_to_token(id) or f"[{id}]"

    def make_metrics(self) -> Metrics:
        return {"fillings": FillingScores()}

    def update_metrics(
        self, metrics: Metrics, example: MaskedTextExample, windows: Sequence[Window],
        prediction: MaskedTextPrediction,
    ) -> None:  # fmt: skip
        scores = metrics["fillings"]
        assert isinstance(scores, FillingScores)
        for features, rows in windows:
            assert isinstance(features, MaskedTextFeatures)
            assert features.gold_words is not None and features.gold_entities is not None
            best, num_words = rows[:, self.top_k].astype(np.int64), len(features.masked_words)
            known = features.gold_words != IGNORED_LABEL
            right = (best[:num_words] == features.gold_words)[known]
            scores.update_words(right=right.tolist(), log_probabilities=rows[:num_words, -1][known].tolist())
            if self.entity_predictions is not None:
                known = features.gold_entities != IGNORED_LABEL
                scores.update_entities(right=(best[num_words:] == features.gold_entities)[known].tolist())

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return metrics["fillings"].compute()


def _find_hidden_places(batch: Batch, name: str) -> tuple[Tensor, Tensor]:
    """Rows of the batch, ascending, and the places in them: (P,) each."""
    places = [getattr(window, name) for window in batch.features]
    rows = np.repeat(np.arange(len(places)), [len(own) for own in places])
    device = batch.word_ids.device
    return torch.from_numpy(rows).to(device), torch.from_numpy(np.concatenate(places)).to(device)
