"""Write the samples for entity typing and relation classification from the word lists of the NER sample.

    python scripts/make_mention_samples.py           # write data/entity_typing and data/relation_classification
    python scripts/make_mention_samples.py --check   # say whether the files on disk are what would be written

Entity typing takes mentions from the sentences of make_ner_sample.py and types them by their tag and their words.
Relations come from the templates below, whose names are made as there. Some templates are kept for valid.jsonl and
some for test.jsonl. The output depends on SEED and data/ner/source alone. Standard library only.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from make_ner_sample import DATA as NER
from make_ner_sample import Cast, Names, Sentence, make_corpus, read_names, realise, spans
from sample_files import parser, write_or_check

DATA = NER.parent
SEED = 31
SIZES = {"train": 500, "valid": 120, "test": 200}  # records
TYPES = {"PER": ["person"], "ORG": ["organization", "group"], "LOC": ["location", "place"], "WORK": ["object", "work"],
         "EVENT": ["event"]}  # fmt: skip
# Word of a mention → a finer type, for label_set "all".
FINER = {
    "River": "river", "Street": "street", "Road": "street", "Lane": "street", "Valley": "valley", "County": "council",
    "Council": "council", "College": "school", "School": "school", "University": "school", "Hospital": "hospital",
    "Bank": "company", "Foods": "company", "Group": "company", "Motors": "company", "Ltd": "company", "plc": "company",
    "Rovers": "team", "United": "team", "Town": "team", "Athletic": "team", "Wanderers": "team", "Cup": "contest",
    "Open": "contest", "Trophy": "contest", "Festival": "festival", "Battle": "battle", "Siege": "battle",
    "Storm": "storm", "Treaty": "treaty",
}  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
PRONOUNS = ("he", "she", "him", "He", "She")

# Relation → its head's slot, and templates with the slots of head and tail: see data/ner/source/templates.txt.
RELATIONS = {
    "person:employee_of": ("p1", [
        "{p1} [has worked|worked] for {c1} since {year}.",
        "{c1} [hired|took on] {p1} as [its|the new] {role} [in {month}|last year].",
        "{p1}, a {role} at {c1}, [was ill|spoke first] on {day}.",
        "After {many} years at {c1}, {p1} [is to retire|retired] in {month}.",
        "\"We pay well,\" said {p1}, [the|a] {role} of {c1}.",
        "The {role} of {c1} is [now|still] {p1}.",
        "{c1} [named|appointed] {p1} [on {day}|yesterday].",
    ]),
    "person:born_in": ("p1", [
        "{p1} was born in {t1} in {year}.",
        "Born in {t1}, {p1} [grew up on a farm|went to sea at sixteen].",
        "{t1} is the birthplace of {p1}.",
        "{p1} [came into the world|was born] above a shop in {t1}.",
        "A plaque in {t1} marks the house where {p1} was born.",
        "{p1}, [a native of|born in] {t1}, never [married|learned to drive].",
        "In {year} {p1} was born in a [village|cottage] near {t1}.",
    ]),
    "company:based_in": ("c1", [
        "{c1} has its head office in {t1}.",
        "{c1}, [based|with its headquarters] in {t1}, [lost|made] {money} last year.",
        "The {t1} firm {c1} [makes|sells] {product}.",
        "From its offices in {t1}, {c1} [runs|owns] {few} mines.",
        "{c1} [moved|is moving] its headquarters to {t1} [in {year}|this {month}].",
        "The headquarters of {c1} [are|stand] in {t1}.",
        "{t1} is home to {c1}, the maker of {product}.",
    ]),
    "company:founded_by": ("c1", [
        "{p1} founded {c1} in {year}.",
        "{c1} was [founded|set up] by {p1} [in a shed|with {money}].",
        "{p1} [started|set up] {c1} [with two friends|in a garage] in {year}.",
        "The founder of {c1}, {p1}, died in {month}.",
        "It was {p1} who [founded|established] {c1}, in {year}.",
        "{c1}, which {p1} [began|founded] in {year}, now has {big} workers.",
        "{p1} is [best known|remembered] as the founder of {c1}.",
    ]),
    "person:plays_for": ("p1", [
        "{p1} plays for {k1}.",
        "{k1} [signed|bought] {p1} [for {money}|in {month}].",
        "{p1} scored [twice|late] for {k1} on {day}.",
        "{p1}, the {k1} {position}, [broke a leg|was sent off].",
        "{p1} has [joined|signed for] {k1}.",
        "The {k1} {position} {p1} [is injured|has been dropped].",
        "{k1} [rely|depend] on the goals of {p1}, their {position}.",
    ]),
    "work:created_by": ("w1", [
        "{p1} wrote {w1} in {year}.",
        "{w1}, a [novel|film|play] by {p1}, [sold badly|won a prize].",
        "The author of {w1}, {p1}, lives alone.",
        "{p1} [finished|published] {w1} at the age of {age}.",
        "{w1} was [written|composed] by {p1} in {few} weeks.",
        "{p1} is the author of {w1}.",
        "Critics [hated|loved] {p1} for {w1}, a first novel.",
    ]),
    "event:held_in": ("e1", [
        "The {e1} is [held|played] in {t1} [every {month}|each year].",
        "{t1} [hosts|will host] the {e1} in {month}.",
        "The {e1} [took place|was held] in {t1} in {year}.",
        "{big} people came to {t1} for the {e1}.",
        "The {e1}, in {t1}, was [cancelled|put off].",
        "The {e1} returns to {t1} [in {month}|next year].",
        "[Rain|Snow] in {t1} delayed the start of the {e1}.",
    ]),
    "no_relation": ("p1", [
        "{p1} [read|heard] about {c1} in the paper on {day}.",
        "{p1} [flew|drove] over {t1} on the way home.",
        "{p1} has [never been to|no wish to see] {t1}.",
        "{p1} [lost {money} on|sold the last of the] shares in {c1}.",
        "{c1} and a neighbour of {p1} [met in court|shared a lawyer].",
        "{p1} [watched|saw] {k1} lose on {day}.",
        "{p1} [dislikes|has not read] {w1}.",
        "{p1} sent a letter to {c1}, which [did not answer|sent it back].",
        "The train to {t1} was late, so {p1} [walked|took a taxi].",
        "{p1} [once|twice] played against {k1}.",
        "{p1} missed the {e1} because of [a cold|the rain].",
        "A map of {t1} hung in the kitchen of {p1}.",
        "{p1} [asked|wondered] why {c1} had [closed|sold] the mill.",
        "{w1} was on the table when {p1} came in.",
    ]),
}  # fmt: skip

Record = dict[str, Any]


def typing_records(split: str, sentences: list[Sentence]) -> list[Record]:
    """One mention a sentence, until there are enough."""
    rng = random.Random(f"{SEED} typing {split}")
    records: list[Record] = []
    for sentence in rng.sample(sentences, len(sentences)):
        mentions = list(typed_mentions(sentence))
        if mentions and len(records) < SIZES[split]:
            start, end, types = rng.choice(mentions)
            words = [word for word, _ in sentence]
            records.append({
                "annot_id": f"{split}/{len(records)}",
                "left_context_token": words[:start],
                "mention_span": " ".join(words[start:end]),
                "right_context_token": words[end:],
                "y_str": types,
            })  # fmt: skip
    return records


def typed_mentions(sentence: Sentence) -> Iterator[tuple[int, int, list[str]]]:
    """Names, days and months, and the people that pronouns stand for."""
    for start, end, tag in spans(sentence):
        finer = [FINER[word] for word, _ in sentence[start:end] if word in FINER]
        yield start, end, [*TYPES[tag], *dict.fromkeys(finer)]
    for n, (word, tag) in enumerate(sentence):
        if tag == "O" and word in DAYS + MONTHS:
            yield n, n + 1, ["time", "day" if word in DAYS else "month"]
        if tag == "O" and word in PRONOUNS:
            yield n, n + 1, ["person"]


def relation_records(split: str, names: Names) -> list[Record]:
    """The relations in turn, each from a template that the split may use."""
    records: list[Record] = []
    seen: set[str] = set()
    pool = [*RELATIONS, "no_relation", "no_relation"]
    while len(records) < SIZES[split]:
        rng = random.Random(f"{SEED} relations {split} {len(seen)} {len(records)}")
        relation = rng.choice(pool)
        head_slot, templates = RELATIONS[relation]
        template = rng.choice([t for n, t in enumerate(templates) if split_of(n) in ("all", split)])
        sentence = realise(template, Cast(names, split, rng))
        mentions = spans(sentence)
        words = [word for word, _ in sentence]
        text = " ".join(words)
        seen.add(f"{text} {len(seen)}")
        if len(mentions) != 2 or any(text == record["text"] for record in records):
            continue
        places = [[len(" ".join([*words[:start], ""])), len(" ".join(words[:end]))] for start, end, _ in mentions]
        first_slot = min((template.index("{" + slot + "}"), slot) for slot in slots(template))[1]
        head, tail = places if first_slot == head_slot else places[::-1]
        records.append({"id": f"{split}/{len(records)}", "text": text, "head": head, "tail": tail, "label": relation})
    return records


def slots(template: str) -> list[str]:
    """The names a template asks for."""
    return [slot for slot in ("p1", "c1", "t1", "k1", "w1", "e1") if "{" + slot + "}" in template]


def split_of(index: int) -> str:
    """The split that a template is kept for; "all" for most."""
    return {4: "valid", 5: "test", 6: "test", 12: "valid", 13: "test"}.get(index, "all")


def make_files() -> dict[Path, str]:
    """Path → content."""
    files = {}
    corpus = make_corpus()
    names = Names(read_names(NER / "source" / "names.txt"), random.Random(SEED))
    for split in SIZES:
        sentences = [sentence for document in corpus[split].documents for sentence in document]
        files[DATA / "entity_typing" / f"{split}.jsonl"] = to_lines(typing_records(split, sentences))
        files[DATA / "relation_classification" / f"{split}.jsonl"] = to_lines(relation_records(split, names))
    return files


def to_lines(records: list[Record]) -> str:
    """JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def main() -> int:
    """Write, or compare."""
    return write_or_check(make_files(), check=parser(__doc__).parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
