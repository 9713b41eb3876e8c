"""The normalisation of answers that MLQA's evaluation script has for each of its languages (Lewis et al. 2020)."""

from __future__ import annotations

import re
import string
import unicodedata

from luke_tasks.errors import DataError

# Articles; in Vietnamese, classifiers and the like. The script's pattern for Arabic takes the syllable away anywhere.
_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "hi": None,
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": "ال",
    "zh": None,
}
LANGUAGES = tuple(_ARTICLES)
_CHINESE = re.compile("([\u4e00-\u9fa5])")


def check_language(language: str, where: str) -> None:
    """Raises DataError, beginning with `where`, when MLQA does not have the language."""
    if language not in _ARTICLES:
        raise DataError(f"{where}: the context's language is {language!r}, and MLQA's normalisation knows "
                        f'{", ".join(LANGUAGES)}; set model.head.normalisation to "squad"')  # fmt: skip


def normalise(text: str, language: str) -> str:
    """Lower case; no punctuation of any script, no articles, single spaces; in Chinese each character is a word.

    Raises:
        KeyError: MLQA does not have the language.
    """
    articles = _ARTICLES[language]
    text = "".join(char for char in text.lower() if not _is_punctuation(char))
    if articles is not None:
        text = re.sub(articles, " ", text)
    if language == "zh":
        text = _CHINESE.sub(r" \1 ", text)
    return " ".join(text.split())


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")
