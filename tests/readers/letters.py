"""A tokenizer by which windows can be worked out by hand: every character of a word is one piece.

`a` to `z` have the ids 97 to 122 (their code points), other characters 3.
"""

from __future__ import annotations

from typing import Any

from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from luke_tasks.data.published_tokenizer import SpecialTokens
from luke_tasks.data.tokenizer import Tokenizer
from luke_tasks.readers.conll_span import ConllSpanReader, NerFeatures

CLS, PAD, SEP, UNKNOWN, MASK = range(5)


def letters() -> Tokenizer:
    vocab = {chr(code): code for code in range(ord("a"), ord("z") + 1)} | {"<unk>": UNKNOWN}
    backend = Backend(models.WordLevel(vocab, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return Tokenizer(
        backend=backend,
        special=SpecialTokens(cls=CLS, sep=SEP, pad=PAD, mask=MASK, unknown=UNKNOWN),
        entity_vocab={"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "[MASK2]": 3},
    )


def reader(**options: Any) -> ConllSpanReader:
    return ConllSpanReader(tokenizer=letters(), **options)


def shown(features: NerFeatures) -> str:
    """The window's pieces as text: `<`, `>` for [CLS] and [SEP]."""
    return "".join({CLS: "<", SEP: ">", UNKNOWN: "?"}.get(id, chr(id)) for id in features.word_ids.tolist())
