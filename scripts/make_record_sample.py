"""Write the sample for ReCoRD (cloze questions about news) from the word lists of the NER sample.

    python scripts/make_record_sample.py              # write data/record/{train,valid,test}.json
    python scripts/make_record_sample.py --check      # say whether the files on disk are what would be written
    python scripts/make_record_sample.py --baseline   # sizes, and exact match of a candidate drawn at random

An article tells one of the stories below; each query leaves out one of its parts (the buyer, not the firm that was
bought), which only the story tells. The last query of each part is kept for test.json. Names are made as in
make_ner_sample.py, half of them for one split only. The output depends on SEED and data/ner/source alone. Standard
library only.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import Any

from make_ner_sample import CHOICE, Cast, Names, read_names, value
from make_ner_sample import DATA as NER
from sample_files import parser, write_or_check

DATA = NER.parent / "record"
SEED = 47
SIZES = {"train": 400, "valid": 60, "test": 100}  # articles
QUERIES = 2  # an article

# A name's slot is a letter of make_ner_sample.TAG_OF and a number; other slots are its numbers and words. `facts` come
# in any order after `opening`; `points` are the summary. Of a slot's queries the last one is for test.json only.
STORIES: list[dict[str, Any]] = [
    {
        "opening": "{c1} has bought its rival {c2} for {money}, the two firms said on {day}.",
        "facts": [
            "{p1}, who runs {c1}, [described|sees] the price as fair.",
            "The head of {c2}, {p2}, will [leave|step down] in {month}.",
            "{few} hundred workers of {c2} [may lose|fear for] their jobs.",
            "The offices of {c2} in {t1} are to [close|be sold].",
            "{c1} will keep its own base in {t2}.",
            "{p2} [refused to speak|would not talk] to reporters.",
        ],
        "points": [
            "{c2} has a new owner",
            "Staff in {t1} wait for news",
            "{p1} hopes to close the deal by {month}",
        ],
        "queries": {
            "c1": [
                "The buyer, @placeholder, now has {big} workers.",
                "Shareholders of @placeholder, who must pay for the purchase, were not asked.",
                "Some say that @placeholder paid too much for its rival.",
            ],
            "c2": [
                "Workers of the firm that was sold, @placeholder, met at the gates.",
                "After {many} years on its own, @placeholder has been taken over.",
                "The new owner plans to drop the name @placeholder.",
            ],
            "p2": [
                "The outgoing head, @placeholder, is {age}.",
                "After the sale @placeholder has to look for a new post.",
                "The staff gave @placeholder, who is leaving the firm that was bought, a clock.",
            ],
            "t1": [
                "The mayor of @placeholder asked for the offices to stay open.",
                "In @placeholder, where the offices will close, people are angry.",
                "Shops in @placeholder will feel the loss of the office staff.",
            ],
        },
    },
    {
        "opening": "{k1} beat {k2} {win} in {t1} on {day}.",
        "facts": [
            "{p1} scored the first goal for {k1} after {many} minutes.",
            "{p2}, the goalkeeper of {k2}, was sent off [before half-time|late in the game].",
            "The trainer of {k2}, {p3}, [blamed|was angry with] the referee.",
            "{k1} have not lost since {month}.",
            "{k2} stay at the foot of the table.",
            "It rained in {t1} all afternoon.",
        ],
        "points": [
            "A red card for {p2}",
            "{k1} win again",
            "{p3} wants to see the referee's report",
        ],
        "queries": {
            "k1": [
                "The winners, @placeholder, are now second in the table.",
                "With three more points @placeholder can dream of the title.",
                "Fans of @placeholder sang all the way home after the victory.",
            ],
            "k2": [
                "The defeat leaves @placeholder with four points.",
                "The losers, @placeholder, must play with ten men too often.",
                "Nobody at @placeholder could explain another lost game.",
            ],
            "p1": [
                "It was the tenth goal of the season for @placeholder.",
                "The opening goal by @placeholder was the best of the day.",
                "A shot from thirty yards by @placeholder went in off the post.",
            ],
            "p2": [
                "For the foul @placeholder may be banned for three games.",
                "The sending-off of @placeholder changed the game.",
                "The keeper, @placeholder, left the field in tears.",
            ],
        },
    },
    {
        "opening": "{p1} [was sent to prison for|got] {few} years on {day} for stealing {money} from {c1}.",
        "facts": [
            "The judge in {t1}, {p2}, spoke of greed.",
            "{p1} had kept the books of {c1} since {year}.",
            "The money was found in a garage in {t2}.",
            "{p3}, a cleaner, had told the police.",
            '"I am glad that it is over," {p3} said.',
            "{p2} gave {p1} two weeks to appeal.",
        ],
        "points": [
            "{c1} has its money back",
            "{p1} is to go to prison",
            "The police thank {p3}",
        ],
        "queries": {
            "p1": [
                "The thief, @placeholder, said nothing in court.",
                "In prison @placeholder will share a cell.",
                "The lawyer of @placeholder will appeal against the sentence.",
            ],
            "p2": [
                "The sentence by @placeholder was longer than expected.",
                "On the bench since {year}, @placeholder is known as a strict judge.",
                "Before passing sentence, @placeholder asked for silence in court.",
            ],
            "p3": [
                "Without the call from @placeholder the theft might never have come to light.",
                "The witness, @placeholder, is to get a reward.",
                "What @placeholder had seen while cleaning, the police soon confirmed.",
            ],
            "c1": [
                "The stolen money belonged to @placeholder.",
                "Its former bookkeeper cost @placeholder a lot of money.",
                "The books of @placeholder will now be checked twice.",
            ],
        },
    },
    {
        "opening": "The novel {w1} by {p1} has won the {e1}, ahead of {w2} by {p2}.",
        "facts": [
            "{p3}, who [led|chaired] the jury, praised its humour.",
            "{p1} wrote it in a hut near {t1}.",
            "{p2} [stayed away|left early].",
            "Critics had expected {w2} to win.",
            "The prize of {money} was handed over in {t2}.",
            "Few copies of {w1} had been sold before {day}.",
        ],
        "points": [
            "{p3} calls it a close vote",
            "{w2} comes second",
            "{p1} is to give the money away",
        ],
        "queries": {
            "p1": [
                "The winner, @placeholder, thanked an old teacher.",
                "For @placeholder it is the first big prize.",
                "With the prize money @placeholder could live for years.",
            ],
            "p2": [
                "The loser, @placeholder, has come second before.",
                "The favourite of the critics, @placeholder, went home with nothing.",
                "Beaten by one vote, @placeholder would not comment.",
            ],
            "p3": [
                "As head of the jury @placeholder had read ninety books.",
                "Speaking for the judges, @placeholder named the winner.",
                "The vote of @placeholder, who chaired the meeting, decided it.",
            ],
            "t2": [
                "Guests came to @placeholder for the ceremony.",
                "The prize is given in @placeholder every year.",
                "The dinner in @placeholder at which the prize was handed over ended late.",
            ],
        },
    },
    {
        "opening": "{t1} and {t2} were [cut off|without power] on {day} after the {r1} [burst|broke] its banks.",
        "facts": [
            "In {t1} the water [rose|stood] {few} feet high.",
            "{t2} was spared the worst, as its new wall held.",
            "{p1}, the mayor of {t1}, asked the army for help.",
            "{p2}, a [farmer|baker], was rescued from a roof.",
            "{c1} gave {money} for those who lost their homes.",
            "The road to {t2} [opened|may open] again on {day}.",
        ],
        "points": [
            "The army is on its way to {t1}",
            "{p2} waited {few} hours for a boat",
            "{c1} helps",
        ],
        "queries": {
            "t1": [
                "In @placeholder the flood filled every cellar.",
                "Soldiers brought dry blankets to @placeholder.",
                "The worst damage was done in @placeholder.",
            ],
            "p1": [
                "The request by @placeholder for soldiers was granted.",
                "As mayor @placeholder has warned of floods for years.",
                "At the town hall @placeholder had slept in a chair.",
            ],
            "p2": [
                "The man in the boat pulled @placeholder to safety.",
                "From the roof @placeholder had waved a sheet.",
                "Cold but unhurt, @placeholder was taken to hospital after the rescue.",
            ],
            "c1": [
                "The gift from @placeholder will pay for new beds.",
                "A cheque from @placeholder came the same day.",
                "The first firm to give money was @placeholder.",
            ],
        },
    },
]
SLOT = re.compile(r"\{(?:([a-z][1-9])|(\w+))\}")

Record = dict[str, Any]


def article(number: int, split: str, names: Names) -> Record:
    """One entry of "data": a story with its queries."""
    rng = random.Random(f"{SEED} {split} {number}")
    story = STORIES[number % len(STORIES)]
    cast = distinct_cast(story, names, split, rng)
    body = [story["opening"], *rng.sample(story["facts"], 4)]
    points = rng.sample(story["points"], 1)
    text, mentions = "", []
    for sentence in [*body, *(f"\n@highlight\n\n{point}" for point in points)]:
        made, found = realise(sentence, cast)
        text += " " if text and not made.startswith("\n") else ""
        mentions += [(len(text) + start, len(text) + end, slot) for start, end, slot in found]
        text += made
    told = {slot for _, _, slot in mentions}
    queries: list[Record] = []
    for slot in rng.sample([slot for slot in story["queries"] if slot in told], QUERIES):
        known = story["queries"][slot]
        query, _ = realise(rng.choice(known if split == "test" else known[:-1]), cast)
        answers = [
            {"start": start, "end": end - 1, "text": text[start:end]} for start, end, own in mentions if own == slot
        ]
        queries.append({"id": f"{split}/{number}/{len(queries)}", "query": query, "answers": answers})
    entities = [{"start": start, "end": end - 1} for start, end, _ in mentions]
    return {"id": f"{split}/{number}", "passage": {"text": text, "entities": entities}, "qas": queries}


def distinct_cast(story: Record, names: Names, split: str, rng: random.Random) -> Cast:
    """A cast of which no name is part of another's."""
    told = " ".join([story["opening"], *story["facts"], *story["points"]])
    slots = sorted({slot for slot, _ in SLOT.findall(told) if slot})
    while True:
        cast = Cast(names, split, rng)
        made = [name_of(slot, cast) for slot in slots]
        if not any(one in other for one in made for other in made if one is not other) and len({*made}) == len(made):
            return cast


def name_of(slot: str, cast: Cast) -> str:
    """The full name in a slot, without article or quotation marks."""
    found = re.search("<(.*)>", cast.member(slot).full)
    assert found is not None
    return found[1]


def realise(template: str, cast: Cast) -> tuple[str, list[tuple[int, int, str]]]:
    """The sentence, and its names as (start, end, slot) in characters."""
    while CHOICE.search(template):
        template = CHOICE.sub(lambda found: cast.rng.choice(found[1].split("|")), template, count=1)
    text, mentions, position = "", [], 0
    for found in SLOT.finditer(template):
        text += template[position : found.start()]
        filler = name_of(found[1], cast) if found[1] else value(found[2], cast)
        if found[1]:
            mentions.append((len(text), len(text) + len(filler), found[1]))
        elif not text.strip():
            filler = filler[0].upper() + filler[1:]
        text += filler
        position = found.end()
    return text + template[position:], mentions


def make_files() -> dict[Path, str]:
    """Path → content."""
    names = Names(read_names(NER / "source" / "names.txt"), random.Random(SEED))
    files = {}
    for split, size in SIZES.items():
        articles = [article(number, split, names) for number in range(size)]
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in articles)
        files[DATA / f"{split}.json"] = f'{{"version": "1.0", "data": [\n{lines}\n]}}\n'
    return files


def baseline(content: str) -> str:
    """Sizes, and how often a candidate drawn at random (each place one draw; each name one draw) is right."""
    articles = json.loads(content)["data"]
    by_place, by_name, words, candidates = [], [], 0, 0
    for entry in articles:
        text = entry["passage"]["text"]
        texts = [text[entity["start"] : entity["end"] + 1] for entity in entry["passage"]["entities"]]
        words += len(text.split())
        candidates += len(texts)
        for query in entry["qas"]:
            gold = {answer["text"] for answer in query["answers"]}
            by_place.append(sum(name in gold for name in texts) / len(texts))
            by_name.append(len(gold) / len({*texts}))
    place, name = sum(by_place) / len(by_place), sum(by_name) / len(by_name)
    return (f"{len(articles)} articles, {len(by_place)} queries, {words:,} words, {candidates:,} candidates; exact "
            f"match at random: {place:.3f} by place, {name:.3f} by name")  # fmt: skip


def main() -> int:
    """Write, compare, or describe."""
    options = parser(__doc__)
    options.add_argument("--baseline", action="store_true", help="print sizes and the random baseline, write nothing")
    args = options.parse_args()
    files = make_files()
    if args.baseline:
        print("\n".join(f"{path.name}: {baseline(content)}" for path, content in files.items()))
        return 0
    return write_or_check(files, check=args.check)


if __name__ == "__main__":
    sys.exit(main())
