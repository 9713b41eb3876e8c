"""Write the question answering sample in data/question_answering, SQuAD v1.1's JSON, from templates.

    python scripts/make_qa_sample.py           # write train.json, valid.json and test.json
    python scripts/make_qa_sample.py --check   # say whether the files on disk are what would be written

An article is about a made-up person, town, firm or ship, in two paragraphs. Each fact is one sentence and may be asked
for; other sentences stand between. Names come from data/ner/source/names.txt, facts from
data/question_answering/source/templates.txt, whose last sentence and last question of each fact are kept for valid.json
and test.json. The output depends on SEED and these two files alone. Standard library only.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from make_ner_sample import DATA as NER
from make_ner_sample import read_names
from sample_files import parser, write_or_check

DATA = NER.parent / "question_answering"
SEED = 47
ARTICLES = {"train": 36, "valid": 8, "test": 14}
QUESTIONS = (3, 4)  # of a paragraph, at most

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
JOBS = ("a baker", "a surveyor", "a harbour pilot", "a schoolteacher", "a clockmaker", "a vet", "a bridge engineer",
        "a court clerk", "a piano tuner", "a beekeeper", "a map printer", "a lighthouse keeper")  # fmt: skip
GOODS = ("wool blankets", "copper pipes", "bicycle bells", "garden tools", "rye bread", "fishing nets", "roof tiles",
         "piano strings", "leather gloves", "window glass", "sea salt", "paper lanterns")  # fmt: skip
PRIZES = ("the Silver Compass", "the Harbour Medal", "the Northern Prize", "the Golden Ladle", "the Founders' Cup",
          "the Lantern Award")  # fmt: skip
CAUSES = ("a burst dam", "a fire in the granary", "an outbreak of measles", "a hard winter", "a strike of the dockers",
          "a landslide", "a lost court case", "a fall in the price of tin")  # fmt: skip
FILLERS = (
    "Little else is known about those years.", "The records of the time are kept in the county archive.",
    "Not all sources agree on this.", "A plaque by the old gate recalls it.", "It was talked about for a long time.",
    "Several letters about it have survived.", "The papers wrote about it only briefly.",
    "That was more than anyone had hoped for.", "A song about it is still sung at weddings.",
)  # fmt: skip

Fact = tuple[str, list[str], list[str]]  # kind of answer, sentences, questions


def read_templates(path: Path) -> dict[str, list[Fact]]:
    """Topic → facts."""
    topics: dict[str, list[Fact]] = {}
    facts: list[Fact] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            facts = topics[line.strip("[]")] = []
        elif line.startswith("  ? "):
            facts[-1][2].extend(line.removeprefix("  ? ").split(" | "))
        elif line and not line.startswith("#"):
            kind, _, sentences = line.partition(": ")
            facts.append((kind, sentences.split(" | "), []))
    return topics


class Values:
    """Draws names and answers; no name of an article comes twice."""

    def __init__(self, rng: random.Random, lists: dict[str, list[str]]) -> None:
        self.rng = rng
        self.lists = lists
        self.titles: set[str] = set()

    def _stem(self) -> str:
        return self.rng.choice(self.lists["stem_a"]) + self.rng.choice(self.lists["stem_b"])

    def of(self, kind: str) -> str:
        """A value of a kind of fact, or the name of a topic."""
        makers: dict[str, Callable[[], str]] = {
            "person": lambda: f"{self.rng.choice(self.lists['female'] + self.lists['male'])} {self._stem()}",
            "town": lambda: self.rng.choice([self._stem(), "".join(self.rng.choice(self.lists[f"place_{part}"])
                                                                   for part in "ab")]),
            "company": lambda: self.rng.choice(self.lists["company"]) % self._stem(),
            "ship": lambda: f"{self.rng.choice(self.lists['title_adj'])} {self.rng.choice(self.lists['title_noun'])}",
            "year": lambda: str(self.rng.randrange(1640, 1990)),
            "month": lambda: self.rng.choice(MONTHS),
            "number": lambda: f"{self.rng.randrange(21, 98) * self.rng.choice([1, 10, 100]):,}",
            "job": lambda: self.rng.choice(JOBS),
            "goods": lambda: self.rng.choice(GOODS),
            "prize": lambda: self.rng.choice(PRIZES),
            "cause": lambda: self.rng.choice(CAUSES),
        }  # fmt: skip
        return makers["company" if kind == "firm" else kind]()

    def title(self, topic: str) -> str:
        """A name that no article has yet."""
        while (name := self.of(topic)) in self.titles:
            pass
        self.titles.add(name)
        return name


def make_article(split: str, number: int, topic: str, facts: list[Fact], values: Values) -> dict[str, Any]:
    """Two paragraphs, the facts of the topic shared between them."""
    rng = values.rng
    title = values.title(topic)
    facts = rng.sample(facts, len(facts))
    half = len(facts) // 2 + rng.randrange(2)
    paragraphs = [make_paragraph(split, f"{split}-{number}-{n}", title, own, values)
                  for n, own in enumerate((facts[:half], facts[half:]))]  # fmt: skip
    return {"title": title.replace(" ", "_"), "paragraphs": paragraphs}


def make_paragraph(split: str, id: str, title: str, facts: list[Fact], values: Values) -> dict[str, Any]:
    """Its sentences in the order of the facts, with fillers between, and its questions in another order."""
    rng = values.rng
    context, places = "", []
    for kind, sentences, _ in facts:
        sentence = rng.choice(sentences[:2] if split == "train" else sentences).replace("{x}", title)
        before, after = sentence.split("{v}")
        answer = values.of(kind)
        context += " " if context else ""
        places.append((len(context) + len(before), answer))
        context += before + answer + after
        if rng.random() < 0.4:
            context += " " + rng.choice(FILLERS)
    asked = rng.sample(range(len(facts)), min(len(facts), rng.choice(QUESTIONS)))
    qas = []
    for number, fact in enumerate(asked):
        question = rng.choice(facts[fact][2][:2] if split == "train" else facts[fact][2])
        start, text = places[fact]
        qas.append({"id": f"{id}-{number}", "question": question.replace("{x}", title),
                    "answers": [{"text": text, "answer_start": start}]})  # fmt: skip
    return {"context": context, "qas": qas}


def make_files() -> dict[Path, str]:
    """Path → content."""
    lists = read_names(NER / "source" / "names.txt")
    topics = list(read_templates(DATA / "source" / "templates.txt").items())
    values = Values(random.Random(SEED), lists)
    files = {}
    for split, size in ARTICLES.items():
        data = [make_article(split, number, *topics[number % len(topics)], values) for number in range(size)]
        content = {"version": "1.1", "data": data}
        files[DATA / f"{split}.json"] = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    return files


def main() -> int:
    """Write, or compare."""
    return write_or_check(make_files(), check=parser(__doc__).parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
