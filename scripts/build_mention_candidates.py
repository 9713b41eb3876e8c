"""Make the mention candidates that `wiki_entity_linker` reads, from SQuAD-form files and a dictionary of mentions.

    python scripts/build_mention_candidates.py --mentions mentions.tsv --output candidates.json train.json dev.json

The dictionary has a line for each mention and entity: `mention<TAB>entity` or `mention<TAB>entity<TAB>count` (`.tsv`),
or a JSON object `{"mention": ..., "entity": ..., "count": ...}` (`.jsonl`), for instance the anchors of Wikipedia's
links. Of several entities of one mention the one with the highest count is taken, the first one where they are equal.
The output has, for each article, the mentions that stand in its contexts and questions, as whole words (in scripts
without spaces, anywhere): `{"Super Bowl 50": {"Panthers": "Carolina Panthers"}}`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from luke_tasks.commands._arguments import check_output_files
from luke_tasks.data.text import UNSPACED
from luke_tasks.errors import DataError, LukeTasksError
from luke_tasks.files import write_json
from luke_tasks.readers.reader import read_text
from luke_tasks.readers.records import get_integer, get_string, json_lines
from luke_tasks.readers.squad_format import Languages, read_squad

_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")


def read_mentions(path: Path) -> dict[str, str]:
    """Mention → its most frequent entity. Raises DataError (`file:line: ...`) on the first line not of the form."""
    counts: dict[str, tuple[int, str]] = {}
    for mention, entity, count in _jsonl(path) if path.suffix == ".jsonl" else _tsv(path):
        if mention not in counts or count > counts[mention][0]:
            counts[mention] = (count, entity)
    return {mention: entity for mention, (_, entity) in counts.items()}


def _tsv(path: Path) -> Iterator[tuple[str, str, int]]:
    for number, line in enumerate(read_text(path, "utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        mention, *rest = (part.strip() for part in line.split("\t"))
        if not mention or not rest or not rest[0] or len(rest) > 2 or (len(rest) == 2 and not rest[1].isdecimal()):
            raise DataError(f"{path}:{number}: expected mention<TAB>entity, or mention<TAB>entity<TAB>count, found "
                            f"{line[:60]!r}")  # fmt: skip
        yield " ".join(mention.split()), rest[0], int(rest[1]) if len(rest) == 2 else 1


def _jsonl(path: Path) -> Iterator[tuple[str, str, int]]:
    for record, where in json_lines(path, "utf-8"):
        mention, entity = (get_string(record, field, where) for field in ("mention", "entity"))
        yield " ".join(mention.split()), entity.strip(), get_integer(record, "count", where) if "count" in record else 1


def candidates(files: Iterable[Path], mentions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Title → the mentions in the article's texts, in the order they come, each with its entity.

    Raises:
        DataError: a file is not of SQuAD's form, or an article has no title.
    """
    longest = max((len(_WORD.findall(mention)) for mention in mentions), default=0)  # words
    found: dict[str, dict[str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for file in files:
        for example in read_squad(file, "utf-8", Languages.of_file(file)):
            if not example.title:
                raise DataError(f'{example.where}: the article has no "title", by which its mentions are found')
            own = found.setdefault(example.title, {})
            for text in (example.context, example.question):
                if (example.title, text) not in seen:
                    seen.add((example.title, text))
                    own.update({mention: mentions[mention] for mention in _mentions_in(text, mentions, longest)})
    return found


def _mentions_in(text: str, mentions: Mapping[str, str], longest: int) -> Iterator[str]:
    words = [word.span() for word in _WORD.finditer(text)]
    for first, (start, _) in enumerate(words):
        for _, end in words[first : first + longest]:
            mention = " ".join(text[start:end].split())
            if mention in mentions:
                yield mention


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="files in SQuAD's form")
    parser.add_argument("--mentions", required=True, type=Path, metavar="FILE", help="the dictionary, .tsv or .jsonl")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the JSON file to write")
    args = parser.parse_args(arguments)
    try:
        check_output_files([str(args.output)])
        found = candidates(args.files, read_mentions(args.mentions))
        write_json(args.output, found)
    except LukeTasksError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    number = sum(map(len, found.values()))
    print(f"{args.output}: {len(found)} articles, {number} mentions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
