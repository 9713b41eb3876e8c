"""Tasks for files of one word a line, and tables that are such files in disguise (a row for each word)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import partial

from luke_tasks.errors import DataError
from luke_tasks.own_data.fit import Conversion, Fit, names, refused_together
from luke_tasks.own_data.kinds import DataFile, cells_of
from luke_tasks.own_data.tags import TagStyle, as_iob2, scheme_of
from luke_tasks.readers.faults import one_record
from luke_tasks.readers.tagging import marks_entities

_SEPARATORS = {"\t": "tabs", " ": "spaces", ",": "commas", ";": "semicolons"}
_MOST_CLASSES = 100
_SENTENCE_NAME = re.compile(r"sent(ence)?([ _#-].*)?", re.IGNORECASE)  # not "sentiment", nor "sentence1"
Sentences = list[list[tuple[int, list[str]]]]  # sentence, word, its line (of a table: row) from 1 and its cells


def column_fits(file: DataFile) -> Iterator[Fit]:
    """Fits of a file of columns."""
    width = max(len(row) for row in file.rows)
    rows = [row for row in file.rows if len(row) == width]
    word = _word_column(rows)
    separators = _SEPARATORS[file.delimiter]
    shape = f"{width} columns separated by {separators}"
    is_plain = file.delimiter in "\t " and word == 0 and not file.has_comments
    tagged = _tag_column(rows, word)
    documents = file.text.count("-DOCSTART")
    reasons = {"type": shape} | ({} if documents < 2 else {"context": f"{documents:,} documents"})
    context = {"context": "document" if documents > 1 else "sentence"}
    if documents < 2:
        reasons["context"] = "no -DOCSTART- lines: each sentence by itself"
    if tagged is not None:
        tag, style = tagged
        yield _entity_fit(file, word, tag, style, f"found {shape}", context, reasons, is_plain and tag == width - 1)
    label = _class_column(rows, word)
    if label is None:
        return
    options: dict[str, object] = {"type": "conll_tokens"}
    if label != width - 1 and is_plain:
        options["label_column"] = label + 1
    seen = f"found {shape}; labels in column {label + 1}: {names((row[label] for row in rows), 8)}"
    values = {row[label] for row in rows}
    if marks_entities(values):
        reasons = {**reasons, "type": f"{shape}; labels are tags of entities"}
    conversion = None
    if not is_plain:
        conversion = Conversion(f"word and label with a tab between (columns {word + 1} and {label + 1})", ".conll",
                                partial(_written, _sentences(file), word, label, None, str(file.path)))  # fmt: skip
    yield Fit("token_classification", {**options, **context}, seen, reasons, conversion)


def word_table_fits(file: DataFile, header: Sequence[str]) -> Iterator[Fit]:
    """Fits of a table with a row for each word, as `Sentence #,Word,POS,Tag`."""
    rows = [row for row in file.rows[1:] if len(row) == len(header)]  # of a long file the first ones
    sentence = next((i for i, name in enumerate(header) if _SENTENCE_NAME.fullmatch(name)), None)
    if sentence is None or not rows or sentence + 2 >= len(header):
        return
    if sum(" " in cell.strip() for row in rows for cell in row[sentence + 1 :]) > len(rows) / 50:  # texts, not words
        return
    named = [i for i, name in enumerate(header) if name.lower() in ("word", "token", "form", "words", "tokens")]
    word = named[0] if named else _word_column([row[sentence + 1 :] for row in rows]) + sentence + 1
    tagged = _tag_column(rows, word)
    if tagged is None:
        return
    tag, style = tagged
    seen = (f'found a table with a row for each word; words in "{header[word]}", sentences in "{header[sentence]}", '
            f'tags in "{header[tag]}": {names(style.types.elements())}')  # fmt: skip
    conversion = Conversion(
        "word and IOB2 tag with a tab between",
        ".conll",
        lambda: _written(_table_sentences(file, sentence), word, tag, style, str(file.path)),
    )
    reasons = {"type": f"types {names(style.types.elements())}", "context": "no documents are marked"}
    yield Fit("ner", {"type": "conll_span", "context": "sentence"}, seen, reasons, conversion)


def _entity_fit(
    file: DataFile, word: int, tag: int, style: TagStyle, shape: str, context: dict[str, str], reasons: dict[str, str],
    is_plain: bool,
) -> Fit:  # fmt: skip
    sentences = _sentences(file)
    scheme = None
    if style.is_standard:
        scheme = scheme_of([
            [row[tag] for _, row in sentence if len(row) > max(word, tag) and row[tag] not in style.strays]
            for sentence in sentences
        ])  # fmt: skip
    types = names(style.types.elements())
    if style.strays:
        types += f"; tags of another form: {names(sorted(style.strays))}"
    if scheme is None:
        look = (
            f"tags follow no scheme all through: {types}"
            if style.is_standard
            else f"tags such as {style.example}: {types}"
        )
    else:
        look = f"tags look like {scheme.upper()}: {types}"
    conversion = None
    if not is_plain or scheme is None:
        conversion = Conversion(f"word and IOB2 tag with a tab between (columns {word + 1} and {tag + 1})", ".conll",
                                partial(_written, sentences, word, tag, style, str(file.path)))  # fmt: skip
        reasons = {**reasons, "type": f"types {names(style.types.elements())}"}
    else:
        reasons = {**reasons, "type": f"{reasons['type']}; {look}"}
    return Fit("ner", {"type": "conll_span", **context}, f"{shape}; {look}", reasons, conversion)


def _sentences(file: DataFile) -> Sentences:
    """All of the file, `-DOCSTART-` lines as sentences without cells."""
    found: Sentences = [[]]
    for number, line in enumerate(file.text.split("\n"), start=1):
        if line.startswith("-DOCSTART"):
            found += [[], [(number, ["-DOCSTART-"])], []]
        elif not line.strip():
            found.append([])
        elif not (file.has_comments and line.startswith("# ")):
            found[-1].append((number, cells_of(line, file.delimiter)))
    return [sentence for sentence in found if sentence]


def _table_sentences(file: DataFile, sentence: int) -> Sentences:
    """All of a table with a row for each word; in column `sentence` stands where a new one begins."""
    found: Sentences = []
    previous = None
    for number, row in enumerate(csv.reader(io.StringIO(file.text, newline=""), delimiter=file.delimiter), start=1):
        if number == 1 or not any(cell.strip() for cell in row):
            continue
        own = row[sentence].strip() if sentence < len(row) else ""
        if (own and own != previous) or not found:
            found.append([])
        previous = own or previous
        found[-1].append((number, [cell.strip() for cell in row]))
    return found


def _written(sentences: Sentences, word: int, label: int, style: TagStyle | None, source: str) -> str:
    """Word, tab, label; IOB2 tags where there is a style.

    Raises:
        DataError: lines lack one of the columns, or have a tag of another style: all of them.
    """
    parts = []
    last = max(word, label)
    with refused_together(source):
        for sentence in sentences:
            if sentence[0][1] == ["-DOCSTART-"]:
                parts.append("-DOCSTART-\tO\n")
                continue
            words, labels = [], []
            for number, row in sentence:
                with one_record:
                    if len(row) <= last:
                        raise DataError(f"{source}:{number}: there is no column {last + 1}: {' '.join(row)!r}")
                    tag = row[label]
                    labels.append(tag if style is None else style.standard(tag, f"{source}:{number}"))
                    words.append("_".join(row[word].split()) or "_")  # an empty word would shift the columns
            labels = labels if style is None else as_iob2(labels)
            parts.append("".join(f"{name}\t{tag}\n" for name, tag in zip(words, labels, strict=True)))
    return "\n".join(parts)


def _word_column(rows: Sequence[Sequence[str]]) -> int:
    """The column with the most different values that are no numbers; the first of those nearly alike."""
    variety = []
    for index in range(len(rows[0])):
        values = [row[index] for row in rows]
        numbers = sum(value.strip("-.").isdigit() for value in values)
        variety.append(0 if numbers > 0.5 * len(values) else len(set(values)))
    return next(index for index, value in enumerate(variety) if value >= 0.75 * max(variety))


def _tag_column(rows: Sequence[Sequence[str]], word: int) -> tuple[int, TagStyle] | None:
    """The last column of entity tags, those with prefixes before all others."""
    found = []
    for index in range(len(rows[0])):
        if index != word:
            try:
                style = TagStyle(row[index] for row in rows)
            except ValueError:
                continue
            found.append((style.form != "types alone", style.outside in ("O", "o"), index, style))
    found = [entry for entry in found if entry[0] or entry[1]]
    return max(found, key=lambda entry: entry[:3])[2:] if found else None


def _class_column(rows: Sequence[Sequence[str]], word: int) -> int | None:
    """The last column with few values, of which there are two at least."""
    for index in reversed(range(len(rows[0]))):
        values = {row[index] for row in rows}
        numbers = sum(value.isdigit() for value in values)
        if index != word and 1 < len(values) <= max(_MOST_CLASSES, len(rows) // 50) and numbers < len(values) / 2:
            return index
    return None
