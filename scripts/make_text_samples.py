"""Write the samples for sequence classification from the templates below.

    python scripts/make_text_samples.py           # write data/sequence_classification
    python scripts/make_text_samples.py --check   # say whether the files on disk are what would be written

Reviews of made-up purchases, good or bad. Some templates are kept for valid and some for test. The output depends on
SEED alone. Standard library only.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
SEED = 47
REVIEWS = {"train": 600, "valid": 150, "test": 250}

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


def fill(template: str, rng: random.Random) -> str:
    """A template with its parts picked and its slots filled, beginning with a capital."""
    text = re.sub(r"\[([^]]*)\]", lambda parts: rng.choice(parts[1].split("|")), template)
    text = re.sub(r"\{(\w+)\}", lambda slot: rng.choice(WORDS[slot[1]]), text)
    return text[0].upper() + text[1:]


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


def make_files() -> dict[Path, str]:
    """Path → content."""
    return {DATA / name: content for name, content in reviews(set()).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the files on disk, write nothing")
    check = parser.parse_args().check
    differ = []
    for path, content in make_files().items():
        if check and (not path.exists() or path.read_bytes() != content.encode("utf-8")):
            differ.append(str(path))
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.encode("utf-8"))
    print("\n".join(f"{path}: not what would be written" for path in differ) or "the files are up to date")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
