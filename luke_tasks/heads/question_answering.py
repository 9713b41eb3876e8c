"""Extractive question answering from where an answer starts and ends (LUKE, Yamada et al. 2020, section 4.5).

In: encoded windows of a question and its context. Out: two logits of each word piece.
Shapes: B windows, W word pieces, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from luke_tasks.data.batch import Batch
from luke_tasks.data.features import Features
from luke_tasks.data.labels import Labels
from luke_tasks.encoder.encoder import EncoderOutput
from luke_tasks.heads.answer_spans import BestSpans, best_spans
from luke_tasks.heads.head import Head, HeadOutput, Metrics, Window
from luke_tasks.heads.probabilities import softmax
from luke_tasks.heads.shown import Shown
from luke_tasks.metrics import answer_text, mlqa_text
from luke_tasks.metrics.squad_scores import AnswerScores, Normaliser, WindowScores
from luke_tasks.readers.squad import SquadFeatures
from luke_tasks.readers.squad_format import SquadExample
from luke_tasks.registry import PositiveInt, Provided

_NO_SPAN_ODDS = 1e9  # null odds where there is no span to answer with; JSON has no infinity


@dataclass(frozen=True)
class AnswerCandidate:
    """A stretch of the context, characters `[start, end)`, or "" with no place: the context does not tell."""

    text: str
    start: int | None
    end: int | None
    probability: float  # among the candidates of the question
    start_logit: float
    end_logit: float


@dataclass(frozen=True)
class AnswerPrediction(Shown):
    """The answer to a question."""

    task: ClassVar[str] = "question_answering"
    id: str
    answer: str  # "" where the context does not tell
    start: int | None  # characters of the context
    end: int | None
    probability: float
    null_odds: float  # how far no answer is above the best span, in logits
    best_span: str  # the best answer that is not ""
    n_best: list[AnswerCandidate] = field(default_factory=list)  # likeliest first

    def to_json(self) -> dict[str, Any]:
        """What `predict` prints for this question."""
        return asdict(self)


class _Scored(NamedTuple):
    """A candidate before its probability is known."""

    margin: float  # score above the null score of its window
    text: str
    start: int | None
    end: int | None
    start_logit: float
    end_logit: float


@Head.register("transformers_qa")
class QuestionAnsweringHead(Head):
    """A linear layer that scores each word piece as the first and as the last of the answer; `[CLS]` for no answer.

    Windows are comparable by how far a span is above the window's own null score. No answer, "", is given when it is
    above the best span of all windows by more than `null_threshold`; with 0 this is the original's rule for v1.1, where
    a model may leave a question open too. (The original does not consider no answer where `[CLS]` is not among the
    best starts and ends.) Entities are an optional input of the encoder; their vectors are not read.

    Args:
        hidden_size: D of the encoder.
        labels: none; the task has no classes.
        num_best_predictions: candidates of a question, and starts and ends of a window that make them.
        max_answer_length: word pieces of the longest answer.
        null_threshold: null odds above which "" is the answer.
        unanswerable: the data have questions without an answer (SQuAD v2.0): the scores of v2.0's script are computed,
            and `null_odds.json` is written.
        normalisation: of answers in the scores: `squad`: the evaluation script's, for English (XQuAD is scored so in
            every language); `mlqa`: that of MLQA's script for the context's language.
    """

    tasks: ClassVar[tuple[str, ...]] = ("question_answering",)
    metric_names: ClassVar[tuple[str, ...]] = (
        *AnswerScores.names, *AnswerScores.unanswerable_names, *WindowScores.names,
    )  # fmt: skip
    needs_entities = True

    def __init__(
        self,
        *,
        hidden_size: Provided[int],
        labels: Provided[Labels],
        num_best_predictions: PositiveInt = 20,
        max_answer_length: PositiveInt = 30,
        null_threshold: float = 0.0,
        unanswerable: bool = False,
        normalisation: Literal["squad", "mlqa"] = "squad",
    ) -> None:
        super().__init__()
        self.labels = labels
        self.num_best_predictions = num_best_predictions
        self.max_answer_length = max_answer_length
        self.null_threshold = null_threshold
        self.unanswerable = unanswerable
        self.normalisation = normalisation
        self.qa_outputs = nn.Linear(hidden_size, 2)

    def forward(self, batch: Batch, encoded: EncoderOutput) -> HeadOutput:
        logits = self.qa_outputs(encoded.word_hidden)  # (B, W, 2)
        loss = None
        if batch.labels is not None:
            start_logits, end_logits = self._masked(logits.float(), batch)
            losses = [nn.functional.cross_entropy(scores, batch.labels[:, place])
                      for place, scores in enumerate((start_logits, end_logits))]  # fmt: skip
            loss = (losses[0] + losses[1]) / 2
        return HeadOutput(logits=logits, loss=loss)

    def _masked(self, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Start and end logits (B, W) without the starts that lie before the context and the ends after it.

        As in the original, which leaves starts after the context and ends before it to the loss; but padding, which
        there has a part in the loss too, is masked.
        """
        spans = torch.tensor([feature.context_span for feature in batch.features], device=logits.device)  # (B, 2)
        first, after = spans[:, :1], spans[:, 1:]  # (B, 1)
        pieces = torch.arange(logits.size(1), device=logits.device)  # (W,)
        lowest = torch.finfo(logits.dtype).min
        no_start = (pieces > 0) & (pieces < first) | ~batch.word_mask  # (B, W)
        return logits[..., 0].masked_fill(no_start, lowest), logits[..., 1].masked_fill(pieces >= after, lowest)

    def window_logits(self, logits: Tensor, row: int, features: Features) -> Tensor:
        return logits[row, : len(features.word_ids)]  # (W, 2)

    # -- predictions ------------------------------------------------------------------------------------------------

    def decode(self, example: SquadExample, windows: Sequence[Window]) -> AnswerPrediction:
        if not windows:  # left out by the reader
            return AnswerPrediction(example.id, "", None, None, 1.0, _NO_SPAN_ODDS, "")
        candidates = self._candidates(example.context, windows)
        null = next(one for one in candidates if one.start is None)
        best = next((one for one in candidates if one.start is not None), None)
        null_odds = _NO_SPAN_ODDS if best is None else null.margin - best.margin
        answer = null if best is None or null_odds > self.null_threshold else best
        weights = softmax(np.array([one.margin for one in candidates]))
        n_best = [
            AnswerCandidate(one.text, one.start, one.end, round(float(weight), 6), one.start_logit, one.end_logit)
            for one, weight in zip(candidates, weights, strict=True)
        ]
        return AnswerPrediction(
            id=example.id, answer=answer.text, start=answer.start, end=answer.end,
            probability=n_best[candidates.index(answer)].probability, null_odds=null_odds,
            best_span=best.text if best is not None else "", n_best=n_best[: self.num_best_predictions],
        )  # fmt: skip

    def _candidates(self, context: str, windows: Sequence[Window]) -> list[_Scored]:
        """No answer and the best spans of all windows, best first, each text once."""
        found = self._best_spans(windows)
        margins = found.margins  # (N, K)
        null = windows[int(np.argmax(margins[:, 0]))].logits[0]
        scored = [_Scored(0.0, "", None, None, float(null[0]), float(null[1]))]
        texts = {""}
        for index in np.argsort(-margins, axis=None, kind="stable")[: self.num_best_predictions].tolist():
            row, place = divmod(index, margins.shape[1])
            window, margin = windows[row], float(margins[row, place])
            if margin == -np.inf:
                break
            start, last = int(found.starts[row, place]), int(found.lasts[row, place])
            first, after = _characters(_features(window), start, last)
            text = context[first:after].strip()  # a last piece may be a mere space
            if text not in texts:
                texts.add(text)
                first = context.index(text, first)
                logits = float(window.logits[start, 0]), float(window.logits[last, 1])
                scored.append(_Scored(margin, text, first, first + len(text), *logits))
        return sorted(scored, key=lambda one: -one.margin)

    def _best_spans(self, windows: Sequence[Window]) -> BestSpans:
        contexts = [_features(window).context_span for window in windows]
        return best_spans(
            [window.logits for window in windows], contexts, num_best=self.num_best_predictions,
            max_length=self.max_answer_length,
        )  # fmt: skip

    def prediction_files(self, predictions: Sequence[AnswerPrediction]) -> dict[str, Any]:
        """`predictions.json` and `nbest_predictions.json`, as SQuAD's evaluation scripts and BERT's code have them."""
        kept = ("text", "probability", "start_logit", "end_logit")
        files: dict[str, Any] = {
            "predictions.json": {prediction.id: prediction.answer for prediction in predictions},
            "nbest_predictions.json": {
                prediction.id: [{name: getattr(candidate, name) for name in kept} for candidate in prediction.n_best]
                for prediction in predictions
            },
        }
        if self.unanswerable:
            files["null_odds.json"] = {prediction.id: prediction.null_odds for prediction in predictions}
        return files

    # -- scores -----------------------------------------------------------------------------------------------------

    def make_metrics(self) -> Metrics:
        return {"answers": AnswerScores(unanswerable=self.unanswerable), "windows": WindowScores()}

    def update_metrics(
        self, metrics: Metrics, example: SquadExample, windows: Sequence[Window], prediction: AnswerPrediction
    ) -> None:
        answers, by_window = metrics["answers"], metrics["windows"]
        assert isinstance(answers, AnswerScores) and isinstance(by_window, WindowScores)
        golds = [answer.text for answer in example.gold_answers()]
        normalised: Normaliser = answer_text.normalise
        if self.normalisation == "mlqa":
            mlqa_text.check_language(example.languages.context, example.where)
            normalised = partial(mlqa_text.normalise, language=example.languages.context)
        answers.update(
            golds=golds, predicted=prediction.answer, best_span=prediction.best_span, null_odds=prediction.null_odds,
            normalised=normalised,
        )  # fmt: skip
        found = self._best_spans(windows) if windows else None
        for row, window in enumerate(windows):
            assert found is not None
            features = _features(window)
            start, end = features.answer_span or (0, 1)
            first, after = features.context_span
            is_null = not found.scores[row, 0] > found.null_scores[row]
            span = (0, 0) if is_null else (int(found.starts[row, 0]), int(found.lasts[row, 0]))
            text = "" if is_null else example.context[slice(*_characters(features, *span))]
            starts, ends = window.logits.T.copy()  # (W,) each, masked as in the loss
            starts[1:first] = ends[after:] = -np.inf
            by_window.update(
                span=span == (start, end - 1), start=int(np.argmax(starts)) == start,
                end=int(np.argmax(ends)) == end - 1, predicted=text, golds=golds, normalised=normalised,
            )  # fmt: skip

    def scores(self, metrics: Metrics) -> dict[str, float]:
        return {**metrics["answers"].compute(), **metrics["windows"].compute()}


def _features(window: Window) -> SquadFeatures:
    assert isinstance(window.features, SquadFeatures)
    return window.features


def _characters(features: SquadFeatures, start: int, last: int) -> tuple[int, int]:
    """The characters of the context from the first to the last word piece of a span."""
    shift = features.context_span[0]
    return int(features.offsets[start - shift, 0]), int(features.offsets[last - shift, 1])
