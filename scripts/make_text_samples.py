"""Write the samples for sequence classification, masked language modelling and multiple choice.

    python scripts/make_text_samples.py           # write them to their folders in data
    python scripts/make_text_samples.py --check   # say whether the files on disk are what would be written

Reviews of made-up purchases, good or bad; sentences about countries, with the entities they name; and situations with
four ways to go on, of which one fits: all from the templates below. Some templates are kept for valid and some for
test. The output depends on SEED alone. Standard library only.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from sample_files import parser, write_or_check

DATA = Path(__file__).resolve().parent.parent / "data"
SEED = 47
REVIEWS = {"train": 600, "valid": 150, "test": 250}
FACTS = {"train": 500, "valid": 100, "test": 100}
CHOICES = {"train": 500, "valid": 100, "test": 100}

# {slot} draws from WORDS, [a|b] picks a part.
WORDS = {
    "thing": ("kettle", "tent", "lamp", "bicycle pump", "raincoat", "toaster", "desk", "violin case", "garden hose",
              "radio", "rucksack", "hand mixer", "sofa", "pair of boots", "camera", "ladder"),
    "part": ("handle", "zip", "lid", "switch", "strap", "screen", "hinge", "cable", "lining", "plug"),
    "time": ("two days", "a week", "one winter", "three months", "a year", "the first use", "one wash"),
    "person": ("my mother", "the neighbour", "our son", "a colleague", "my brother", "the whole family"),
    "shop": ("the shop", "the seller", "customer service", "the firm"),
}  # fmt: skip
GOOD = (
    "This {thing} [does|did] everything [I hoped|it promises], and the {part} is [solid|well made].",
    "After {time} the {thing} [still works like new|looks as it did on the first day].",
    "{person} [loves|will not part with] the {thing}.",
    "I [had my doubts|expected little], but the {thing} [won me over|is a joy to use].",
    "[Not once|Never] has the {part} [let me down|failed] in {time}.",
    "{shop} [sent a new {part} at once|answered within the hour], and the {thing} is [perfect|as good as new].",
    "You will not find a better {thing} [at this price|anywhere].",
    "[Worth every penny|A bargain]: a {thing} with a {part} that [lasts|fits].",
    "The {thing} was not cheap, yet I would [buy it again|order a second one] [tomorrow|at once].",
    "{person} [asked where I had bought|borrowed] the {thing} and [ordered one too|does not want to give it back].",
    "No complaints [at all|so far]: the {thing} is [quiet|light|handy] and the {part} [holds|clicks shut].",
    "I [could not be happier|am delighted] with the {thing}.",
    "The {part} [is a small wonder|beats that of my old one], and so is the rest of the {thing}.",
    "Far from [falling apart|wearing out], the {thing} has [outlived|survived] {time} [of rain|of hard use].",
)
BAD = (
    "The {part} of this {thing} [broke|came off] after {time}.",
    "This {thing} [does nothing|did none of the things] it promises, and the {part} is [flimsy|crooked].",
    "{person} [hates|will not touch] the {thing}.",
    "I [had high hopes|expected a lot], but the {thing} [let me down|is a pain to use].",
    "[Not once|Never] has the {part} [worked|fitted] in {time}.",
    "{shop} [never answered|refused a refund], and the {thing} [lies in the bin|is useless].",
    "You will not find a worse {thing} [at this price|anywhere].",
    "[Money down the drain|A waste of money]: a {thing} with a {part} that [rusts|jams].",
    "The {thing} was not expensive, but I would not [buy it again|have it as a present].",
    "{person} [laughed at|tripped over] the {thing} and [sent it back|told me to return it].",
    "Nothing but trouble [so far|from the start]: the {thing} is [loud|heavy|leaking] and the {part} [slips|sticks].",
    "I [could not be angrier|am fed up] with the {thing}.",
    "The {part} [is a bad joke|was broken in the box], and so is the rest of the {thing}.",
    "Far from [lasting|working well], the {thing} has [fallen apart|stopped] after {time}.",
)

# Country, capital, language; the titles are those of Wikipedia's articles.
COUNTRIES = (
    ("France", "Paris", "French language"), ("Japan", "Tokyo", "Japanese language"),
    ("Italy", "Rome", "Italian language"), ("Germany", "Berlin", "German language"),
    ("Portugal", "Lisbon", "Portuguese language"), ("Poland", "Warsaw", "Polish language"),
    ("Sweden", "Stockholm", "Swedish language"), ("Greece", "Athens", "Greek language"),
    ("Hungary", "Budapest", "Hungarian language"), ("Turkey", "Ankara", "Turkish language"),
    ("Finland", "Helsinki", "Finnish language"), ("Denmark", "Copenhagen", "Danish language"),
    ("Norway", "Oslo", "Norwegian language"), ("Iceland", "Reykjavík", "Icelandic language"),
    ("Vietnam", "Hanoi", "Vietnamese language"), ("Thailand", "Bangkok", "Thai language"),
    ("Romania", "Bucharest", "Romanian language"), ("Bulgaria", "Sofia", "Bulgarian language"),
    ("Spain", "Madrid", "Spanish language"), ("Ukraine", "Kyiv", "Ukrainian language"),
)  # fmt: skip
ABOUT_COUNTRIES = (
    "{capital} is the capital of {country}.",
    "The [flight|night train] to {capital} [was late|leaves at nine], so we [slept|waited] in the hall.",
    "[Most|Nearly all] people in {country} speak {language}.",
    "She [learned|studied] {language} before she moved to {capital}.",
    "{country} [won|lost] the match, and {capital} [celebrated|was silent] all night.",
    "He was born in {country} and [teaches|writes in] {language}.",
    "The [parliament|government] of {country} [meets|sits] in {capital}.",
    "In {capital} you hear {language} in [every street|all the shops].",
    "The [embassy|museum] in {capital} is closed on [Monday|Sunday].",
    "A [letter|parcel] from {country} took [two|three] weeks.",
    "{language} is [hard|easy] to learn, say those who live in {country}.",
    "The [old|new] bridge in {capital} is the [longest|oldest] in {country}.",
)

# A situation, and how it goes on; those of other situations are the wrong choices.
SITUATIONS = (
    ("{who} [fills|puts] the kettle and [gets out|looks for] a cup.", "makes a pot of tea."),
    ("It begins to rain, and {who} [looks up|stops].", "opens an umbrella."),
    ("{who} [kneels|sits down] beside the flat tyre.", "unscrews the wheel."),
    ("The dog [waits|barks] at the door with its lead, and {who} [sighs|laughs].", "takes it for a walk."),
    ("{who} [sees|finds] a letter [on the mat|in the box].", "tears the envelope open."),
    ("The [baby|child] [cries|wakes] in the next room, and {who} [gets up|listens].", "sings a lullaby."),
    ("The guitar is out of tune, and {who} [frowns|winces].", "tightens a string."),
    ("{who} [smells|sees] smoke [in the kitchen|from the oven].", "calls the fire brigade."),
    ("The [library|reading room] is about to close, and {who} [hurries|gets up].", "returns the books."),
    ("{who} [stands|waits] at the counter of the bakery.", "buys a loaf of bread."),
    ("The lamp [flickers|goes dark] above {who}.", "changes the bulb."),
    ("There is snow on the path, and {who} [puts on gloves|yawns].", "fetches the shovel."),
    ("{who} [spreads|unfolds] a blanket in the park.", "lays out the picnic."),
    ("The shirt is [creased|crumpled], and {who} [has to leave|is late].", "heats the iron."),
    ("The tomato plants are dry, and {who} [goes out|bends down].", "waters the garden."),
    ("{who} [cannot sleep|lies awake] because of the noise.", "puts in earplugs."),
    ("The hall is full, and {who} [walks|steps] up to the microphone.", "gives a speech."),
    ("{who} [drops|knocks over] the glass, and it shatters.", "sweeps up the pieces."),
    ("The lake is [warm|calm], and {who} [takes off the shoes|runs down the pier].", "dives into the water."),
    ("The hair has grown too long, and {who} [sits down|leans back] in the chair.", "asks for a short cut."),
    ("{who} [cuts|pricks] a finger [with the knife|on a thorn].", "looks for a plaster."),
    ("The train [pulls in|stops], and {who} [lifts|takes] the suitcase.", "climbs on board."),
    ("The wall is [bare|stained], and {who} [stirs|opens] the tin.", "dips the brush into the paint."),
    ("{who} [loses|misplaces] the key and [stands|waits] before the locked house.", "rings the neighbour's bell."),
    ("The sheep have [got out|run off], and {who} [whistles|shouts].", "drives them back to the field."),
    ("The cake has [cooled|risen], and {who} [mixes|stirs] the icing.", "decorates it with cherries."),
    ("The wind [drops|dies], and {who} [looks at|pulls down] the sail.", "rows the boat ashore."),
    ("{who} [finds|picks up] a purse on the pavement.", "takes it to the police station."),
)
OPENINGS = ("Then {who}", "After that {who}", "So {who}", "A moment later {who}")
PEOPLE = ("Ada", "Bruno", "Clara", "Dev", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kofi", "Lena")


def fill(template: str, rng: random.Random) -> str:
    """A template with its parts picked and its slots filled, beginning with a capital."""
    text = re.sub(r"\{(\w+)\}", lambda slot: rng.choice(WORDS[slot[1]]), pick(template, rng))
    return text[0].upper() + text[1:]


def pick(template: str, rng: random.Random) -> str:
    """A template with one of each `[a|b]`."""
    return re.sub(r"\[([^]]*)\]", lambda parts: rng.choice(parts[1].split("|")), template)


def split_of(index: int) -> str:
    """The split that a template is kept for; "all" for most."""
    return {7: "valid", 11: "valid", 9: "test", 12: "test", 13: "test"}.get(index, "all")


def usable(templates: Sequence[str], split: str) -> list[str]:
    """The templates that a split may use."""
    return [template for n, template in enumerate(templates) if split_of(n) in ("all", split)]


def reviews(taken: set[str]) -> dict[str, str]:
    """File → TSV. No review stands in two of them."""
    files = {}
    for split, size in REVIEWS.items():
        rng = random.Random(f"{SEED} reviews {split}")
        rows: list[str] = []
        while len(rows) < size:
            label, templates = rng.choice([("good", GOOD), ("bad", BAD)])
            text = fill(rng.choice(usable(templates, split)), rng)
            if text not in taken:
                taken.add(text)
                rows.append(f"{text}\t{label}\n")
        files[f"sequence_classification/{split}.tsv"] = "text\tlabel\n" + "".join(rows)
    return files


def facts(taken: set[str]) -> dict[str, str]:
    """File → JSON lines of texts with their entities. No text stands in two of them."""
    files = {}
    for split, size in FACTS.items():
        rng = random.Random(f"{SEED} facts {split}")
        lines: list[str] = []
        while len(lines) < size:
            titles = dict(zip(("country", "capital", "language"), rng.choice(COUNTRIES), strict=True))
            template = pick(rng.choice(usable(ABOUT_COUNTRIES, split)), rng)
            text, entities = "", []
            for part in re.split(r"(\{\w+\})", template):
                title = titles.get(part.strip("{}"), "") if part.startswith("{") else ""
                words = title.removesuffix(" language") or part
                if title:
                    entities.append([len(text), len(text) + len(words), title])
                text += words
            if text not in taken:
                taken.add(text)
                lines.append(json.dumps({"text": text, "entities": entities}, ensure_ascii=False) + "\n")
        files[f"masked_lm/{split}.jsonl"] = "".join(lines)
    return files


def choices(taken: set[str]) -> dict[str, str]:
    """File → JSON lines of situations with four ways to go on. None stands in two of them."""
    files = {}
    for split, size in CHOICES.items():
        rng = random.Random(f"{SEED} choices {split}")
        own = {"valid": SITUATIONS[18:23], "test": SITUATIONS[23:]}.get(split, ())
        lines: list[str] = []
        while len(lines) < size:
            situation, right = rng.choice((*SITUATIONS[:18], *own, *own))
            who = rng.choice(PEOPLE)
            context, opening = (pick(text, rng).replace("{who}", who) for text in (situation, rng.choice(OPENINGS)))
            wrong = rng.sample([ending for _, ending in SITUATIONS[:18] + tuple(own) if ending != right], 3)
            label = rng.randrange(4)
            record = {"context": context, "question": opening, "choices": [*wrong[:label], right, *wrong[label:]],
                      "label": label}  # fmt: skip
            if context not in taken:
                taken.add(context)
                lines.append(json.dumps(record, ensure_ascii=False) + "\n")
        files[f"multiple_choice/{split}.jsonl"] = "".join(lines)
    return files


def make_files() -> dict[Path, str]:
    """Path → content."""
    made = {**reviews(set()), **facts(set()), **choices(set())}
    return {DATA / name: content for name, content in made.items()}


def main() -> int:
    """Write, or compare."""
    return write_or_check(make_files(), check=parser(__doc__).parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
