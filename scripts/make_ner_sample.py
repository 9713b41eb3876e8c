"""Write the NER sample corpus in data/ner from the templates and name lists in data/ner/source.

    python scripts/make_ner_sample.py              # write train.txt, valid.txt and test.txt
    python scripts/make_ner_sample.py --check      # say whether the files on disk are what would be written
    python scripts/make_ner_sample.py --baseline   # statistics, and the figures of a dictionary tagger

Every document is about one topic (a genre) and has its own cast of people, places, firms and works. A name comes
in full first and mostly short later. Most names belong to one split only; names of many types mostly have one
type in train.txt and other types in test.txt. Some templates are kept for valid.txt and some for test.txt.
The output depends on SEED and the two source files alone. Standard library only.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "ner"
SEED = 20
SIZES = {"train": 1400, "valid": 250, "test": 350}  # sentences, at least
TYPES = ("PER", "ORG", "LOC", "WORK", "EVENT")
TAG_OF = dict(p="PER", c="ORG", k="ORG", i="ORG", o="ORG", h="ORG", g="ORG", b="ORG", t="LOC", n="LOC", r="LOC")
TAG_OF |= dict(v="LOC", s="LOC", w="WORK", e="EVENT", f="EVENT", m="EVENT", a="EVENT")
# Chance that a member of the cast shares the name of another: the company of its founder, the club of its town.
SHARES = {"c": ("p", 0.2), "k": ("t", 0.6), "o": ("t", 0.8), "i": ("t", 0.3), "h": ("t", 0.7), "e": ("t", 0.4)}
SHARES |= {"f": ("t", 0.5), "v": ("t", 0.15), "w": ("p", 0.04)}
AMBIGUOUS = {"train": 0.35, "valid": 0.4, "test": 0.45}  # chance to draw a name of many types
MAIN_TYPE = {"train": 0.75, "valid": 0.5, "test": 0.15}  # chance that it then has its main type
OWN_NAME = 0.5  # chance that any other name is one that no other split has
BARE = 0.4  # chance that a place, a firm or a club with a name of many types is never named in full
FIRST_AS_SHORT = 0.15  # share of people whom the document calls by their first name

Sentence = list[tuple[str, str]]  # (word, tag)
Document = list[Sentence]
Span = tuple[int, int, str]  # first word, word after the last, type


@dataclass
class Split:
    """The documents of a split, and the templates they were made from, one for each sentence."""

    documents: list[Document] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)


@dataclass
class Genre:
    """The templates of one topic: those that may open a document, and the others."""

    name: str
    test_only: bool
    openers: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass
class Entity:
    """A member of a document's cast. Forms mark the words of the entity with < and >."""

    full: str
    short: str
    later: list[str]
    pronouns: tuple[str, str, str] = ("it", "its", "it")
    mentioned: bool = False


def read_names(path: Path) -> dict[str, list[str]]:
    """Read "key: entries" lines; a line with commas has entries of several words."""
    lists: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            key, _, rest = line.partition(": ")
            lists[key] += [part.strip() for part in rest.split(",")] if "," in rest else rest.split()
    return dict(lists)


def read_templates(path: Path) -> list[Genre]:
    """Read the genres and their templates."""
    genres: list[Genre] = []
    target: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            name, _, mark = line[3:].partition(" ")
            genres.append(Genre(name, mark == "test"))
        elif line.startswith(("> ", "- ")):
            target = genres[-1].openers if line[0] == ">" else genres[-1].others
            target.append(line[2:])
        elif line.startswith("  "):
            target[-1] += " " + line.strip() if not target[-1].endswith("|") else line.strip()
    return genres


class Names:
    """The word lists, with the pools of invented names dealt out to the splits."""

    def __init__(self, lists: dict[str, list[str]], rng: random.Random) -> None:
        self.lists = lists
        self.main_type = {w: key[4:] for key, words in lists.items() if key.startswith("amb_") for w in words}
        self.first = {sex: self._deal(lists[sex], rng, 0.4) for sex in ("female", "male")}
        self.stems = self._deal(self._combine("stem"), rng)
        self.surnames = self._deal(self._combine("sur"), rng)
        self.places = self._deal(self._combine("place"), rng)
        self.coins = self._deal(self._combine("coin"), rng)
        self.countries = self._deal(lists["country"], rng, 0.7)

    def _combine(self, key: str) -> list[str]:
        names = {a + b for a in self.lists[key + "_a"] for b in self.lists[key + "_b"]}
        return sorted(name for name in names if name not in self.main_type)

    @staticmethod
    def _deal(words: Iterable[str], rng: random.Random, shared: float = 0.02) -> dict[str, list[str]]:
        """Cut a list into pools: one that all splits share and one for each."""
        deck = sorted(set(words))
        rng.shuffle(deck)
        cuts = [0] + [round(len(deck) * share) for share in (shared, 0.5 + shared / 2, 0.65 + shared / 3, 1)]
        return {name: deck[cuts[n] : cuts[n + 1]] for n, name in enumerate(("all", "train", "valid", "test"))}


class Cast:
    """The names of one document, made when a template first asks for them."""

    def __init__(self, names: Names, split: str, rng: random.Random) -> None:
        self.names, self.split, self.rng = names, split, rng
        self.stem_of: dict[str, str] = {}
        self.members: dict[str, Entity] = {}
        self.said: set[str] = set()

    def _own(self, pools: dict[str, list[str]]) -> str:
        own = self.rng.random() < OWN_NAME
        return self.rng.choice(pools[self.split if own else "all"])

    def _ambiguous(self, tag: str) -> str:
        main = self.rng.random() < MAIN_TYPE[self.split]
        return self.rng.choice([w for w, t in sorted(self.names.main_type.items()) if (t == tag) == main])

    def _stem(self, slot: str) -> str:
        """The name that the forms of a slot are built on."""
        kind, rng = slot[0], self.rng
        if kind in SHARES and rng.random() < SHARES[kind][1]:
            partner = SHARES[kind][0] + slot[1:]
            self.member(partner)
            return self.stem_of[partner]
        if rng.random() < AMBIGUOUS[self.split]:
            stem = self._ambiguous(TAG_OF[kind])
            if stem not in self.stem_of.values():
                return stem
        names = self.names
        other = {"p": names.surnames, "c": names.coins, "b": names.coins, "m": names.first["female"]}
        pools = other.get(kind, names.places) if rng.random() < 0.45 or kind == "m" else names.stems
        return self._own(pools)

    def member(self, slot: str) -> Entity:
        """The entity of a slot such as "p1"."""
        if slot not in self.members:
            self.stem_of[slot] = self._stem(slot)
            self.members[slot] = entity = self._make(slot[0], slot)
            if slot[0] in "ctkr" and self.stem_of[slot] in self.names.main_type and self.rng.random() < BARE:
                entity.full = entity.short
        return self.members[slot]

    def _make(self, kind: str, slot: str) -> Entity:
        rng, lists, stem = self.rng, self.names.lists, self.stem_of[slot]
        bare = f"<{stem}>"

        def pick(key: str) -> str:
            return rng.choice(lists[key])

        if kind == "p":
            return self._person(slot, stem)
        if kind == "t":
            full = f"<{pick('town_pre')} {stem}>" if rng.random() < 0.12 else bare
            full = f"<{stem} {pick('town_post')}>" if rng.random() < 0.15 else full
            return Entity(full, bare, [bare])
        if kind == "n":
            ambiguous = stem in self.names.main_type and rng.random() < 0.6
            bare = bare if ambiguous else f"<{self._own(self.names.countries)}>"
            return Entity(bare, bare, [bare])
        if kind == "r":
            return Entity(f"<River {stem}>", bare, [bare])
        if kind == "v":
            full = f"the <{stem} {pick('area')}>"
            return Entity(full, bare, [bare, bare, full])
        if kind == "s":
            full = f"<{stem} {pick('street')}>"
            return Entity(full, full, [full])
        if kind == "c":
            full = f"<{pick('company') % stem}>"
            return Entity(full, bare, [bare, bare, bare, full])
        if kind == "k":
            full = f"<{pick('club') % stem}>"
            return Entity(bare if rng.random() < 0.4 else full, bare, [bare, bare, full])
        if kind in "ioh":
            full = pick({"i": "institute", "o": "council", "h": "hospital"}[kind]) % stem
            noun = {"i": "college", "o": "council", "h": "hospital"}[kind]
            return Entity(full, full, [full, f"the {noun}"])
        if kind == "g":
            words = pick("agency").split()  # the same few everywhere, as with well-known bodies
            if rng.random() < OWN_NAME:
                words = [pick("agency_a"), pick("agency_b"), pick("agency_c")]
            short = "<" + "".join(word[0] for word in words) + ">"
            full = "<" + " ".join(words) + ">"
            return Entity(f"{full} ( {short} )" if rng.random() < 0.3 else full, short, [short, short, full])
        if kind == "b":
            full = pick("band") % (stem if rng.random() < 0.5 else pick("band_word"))
            return Entity(full, full, [full])
        if kind == "w":
            known = stem in self.names.main_type
            title = pick("title") % stem if rng.random() < (0.8 if known else 0.3) else self._title()
            forms = [f"<{title}>", f'" <{title}> "']
            return Entity(rng.choice(forms), forms[0], forms)
        if kind == "m":
            return Entity(f"<Storm {stem}>", bare, [bare, bare, f"<Storm {stem}>"])
        if kind == "a":
            full = rng.choice(["Battle of", "Siege of", "Battle of", "Treaty of"])
            return Entity(f"<{full} {stem}>", bare, [f"<{full} {stem}>"])
        full = f"<{stem} {pick('contest' if kind == 'e' else 'festival')}>"
        return Entity(full, bare, [full])

    def _title(self) -> str:
        nouns, adjectives = self.names.lists["title_noun"], self.names.lists["title_adj"]
        one, two = self.rng.sample(nouns, 2)
        adjective = self.rng.choice(adjectives)
        present = f"A{a_or_an(one)[1:]} for the {two}"
        shapes = [f"The {adjective} {one}", f"The {one} and the {two}", present, f"{adjective} {one}"]
        return self.rng.choice([*shapes, f"A {adjective} {one}", f"The {one}"])

    def _person(self, slot: str, stem: str) -> Entity:
        rng = self.rng
        sex = rng.choice(["female", "male"])
        first = self._own(self.names.first[sex])
        last = stem
        if stem in self.names.main_type and rng.random() < 0.35:
            first, last = stem, self._own(self.names.surnames)
        by_first = rng.random() < (0.6 if first == stem else FIRST_AS_SHORT)
        self.stem_of[slot] = last
        full, short = f"<{first} {last}>", f"<{first if by_first else last}>"
        title = f"{'Ms' if sex == 'female' else 'Mr'} <{last}>"
        pronouns = ("she", "her", "her") if sex == "female" else ("he", "his", "him")
        return Entity(full, short, [short] * 6 + [title, full], pronouns)

    def form(self, slot: str, wanted: str) -> str:
        """The words for a slot: in full at first, later one of the shorter forms."""
        entity = self.member(slot)
        if wanted.lower() in ("he", "his", "him"):
            pronoun = entity.pronouns[("he", "his", "him").index(wanted.lower())]
            return pronoun.capitalize() if wanted[0] == "H" else pronoun
        seen, entity.mentioned = entity.mentioned, True
        if not seen or wanted == "full":
            article = "the " if wanted == "short" and slot[0] in "eag" else ""
            return article + entity.full
        if wanted == "short":
            return entity.short
        taken = [other for name, other in self.stem_of.items() if name != slot and name[0] == "c"]
        if slot[0] == "p" and self.stem_of[slot] in taken:  # the firm has the same name: say who is meant
            return self.rng.choice(entity.later[6:])
        return self.rng.choice(entity.later)


def a_or_an(word: str) -> str:
    """The word with its article."""
    return ("an " if word[0].lower() in "aeiou" else "a ") + word


def value(name: str, cast: Cast) -> str:
    """A number or a word for a slot that is no name."""
    rng, lists = cast.rng, cast.names.lists
    low, high = rng.randint(2, 9), rng.randint(11, 40)
    goals = rng.randint(0, 2)
    made = {
        "few": ["two", "three", "four", "five", "six", "seven", "eight", "nine"][low - 2],
        "many": str(high),
        "big": f"{rng.randint(1, 48)},{rng.randint(0, 9)}00",
        "year": str(rng.randint(1921, 2019)),
        "past": str(rng.randint(1105, 1790)),
        "age": str(rng.randint(19, 79)),
        "old": str(rng.randint(62, 98)),
        "pct": rng.choice([f"{low}.{rng.randint(1, 9)}", str(high)]),
        "money": rng.choice([f"£{high}m", f"£{low}.{goals + 1}m", f"{high},000 pounds", f"{low} million euros"]),
        "win": f"{goals + rng.randint(1, 3)}-{goals}",
        "draw": f"{goals}-{goals}",
        "time": f"{low}.{rng.choice(['15', '30', '45'])}{rng.choice(['am', 'pm'])}",
    }
    if name in made:
        return made[name]
    words = lists[name.removeprefix("a_")]
    word = rng.choice([w for w in words if w not in cast.said] or words)
    if len(words) > 8:  # not twice in a document, unless the list is short
        cast.said.add(word)
    return a_or_an(word) if name.startswith("a_") else word


CHOICE = re.compile(r"\[([^\[\]]*)\]")
TOKEN = re.compile(r"\{\w+\}|'s\b|\w+(?:-\w+|'(?!s\b)\w+)*|[^\w\s]")
SLOT = re.compile(r"\{(?:([a-z][1-9])(?:_(\w+))?|(\w+))\}")


def realise(template: str, cast: Cast) -> Sentence:
    """Turn a template into a sentence, picking alternatives and filling slots."""
    rng = cast.rng
    while CHOICE.search(template):
        template = CHOICE.sub(lambda found: rng.choice(found[1].split("|")), template, count=1)
    sentence: Sentence = []
    for token in TOKEN.findall(template):
        text, slot = token, SLOT.fullmatch(token)
        if slot:
            text = cast.form(slot[1], slot[2] or "") if slot[1] else value(slot[3], cast)
        tag = TAG_OF[slot[1][0]] if slot and slot[1] else ""
        sentence += list(tagged(text.split(), tag))
    for n, (word, mark) in enumerate(sentence[:2]):
        if word != '"':
            sentence[n] = word[0].upper() + word[1:], mark
            break
    return sentence


def tagged(words: list[str], tag: str) -> Iterator[tuple[str, str]]:
    """Give the words between < and > IOB2 tags of a type."""
    state = "O"
    for word in words:
        if word.startswith("<"):
            state = "B-"
        yield word.strip("<>"), "O" if state == "O" else state + tag
        state = "O" if word.endswith(">") or state == "O" else "I-"


def split_of(index: int) -> str:
    """The split that a template is kept for by its place in its genre; "all" for most."""
    return {2: "test", 4: "valid", 5: "test"}.get(index % 7, "all")


def usable(templates: list[str], split: str, genre: Genre) -> list[str]:
    """The templates that a split may draw from."""
    kept = [(t, split_of(n)) for n, t in enumerate(templates)]
    return [t for t, where in kept if where in ("all", split) or genre.test_only]


def make_split(split: str, genres: list[Genre], names: Names, seen: set[str]) -> Split:
    """Write documents, one genre after the other, until there are enough sentences; no sentence comes twice."""
    *topics, filler = genres
    topics = [genre for genre in topics if split == "test" or not genre.test_only]
    made = Split()
    while len(made.templates) < SIZES[split]:
        genre = topics[len(made.documents) % len(topics)]
        rng = random.Random(f"{SEED} {split} {len(made.documents)}")
        cast = Cast(names, split, rng)
        others = usable(genre.others, split, genre)
        body = rng.sample(others, min(rng.randint(3, 8), len(others)))
        for template in rng.sample(usable(filler.others, split, filler), rng.choice([0, 1, 1, 2])):
            body.insert(rng.randint(1, len(body)), template)
        document: Document = []
        for template in [rng.choice(usable(genre.openers, split, genre)), *body][:10]:
            for _ in range(9):
                sentence = realise(template, cast)
                text = " ".join(word for word, _ in sentence)
                if text not in seen:
                    seen.add(text)
                    document.append(sentence)
                    made.templates.append(template)
                    break
        made.documents.append(document)
    return made


def make_corpus() -> dict[str, Split]:
    """The three splits. Every document has a random source of its own, so that a small change stays small."""
    genres = read_templates(DATA / "source" / "templates.txt")
    names = Names(read_names(DATA / "source" / "names.txt"), random.Random(SEED))
    seen: set[str] = set()
    return {split: make_split(split, genres, names, seen) for split in SIZES}


def to_text(documents: list[Document]) -> str:
    """The four columns of CoNLL-2003; the second and third are not filled in."""
    lines: list[str] = []
    for document in documents:
        lines += ["-DOCSTART- -X- -X- O", ""]
        for sentence in document:
            lines += [f"{word} -X- -X- {tag}" for word, tag in sentence] + [""]
    return "\n".join(lines)


def spans(sentence: Sentence) -> list[Span]:
    """The entities of a sentence."""
    found: list[Span] = []
    for n, (_, tag) in enumerate(sentence):
        if tag.startswith("B-"):
            found.append((n, n + 1, tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], n + 1, found[-1][2])
    return found


def mentions(documents: list[Document]) -> Iterator[tuple[str, str]]:
    """The surface form and type of every entity."""
    for document in documents:
        for sentence in document:
            for start, end, tag in spans(sentence):
                yield " ".join(word for word, _ in sentence[start:end]), tag


def dictionary_tagger(train: list[Document]) -> Callable[[Sentence], list[Span]]:
    """A tagger that marks the longest known names, each with its most frequent type in train."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for surface, tag in mentions(train):
        counts[surface][tag] += 1
    best = {surface: max(sorted(c), key=c.__getitem__) for surface, c in counts.items()}
    longest = max(len(surface.split()) for surface in best)

    def tag_sentence(sentence: Sentence) -> list[Span]:
        found: list[Span] = []
        start, words = 0, [word for word, _ in sentence]
        while start < len(words):
            ends = range(min(len(words), start + longest), start, -1)
            end = next((end for end in ends if " ".join(words[start:end]) in best), 0)
            if end:
                found.append((start, end, best[" ".join(words[start:end])]))
            start = end or start + 1
        return found

    return tag_sentence


def score(tagger: Callable[[Sentence], list[Span]], documents: list[Document]) -> tuple[float, float, float]:
    """Precision, recall and F1 of exact spans."""
    right = guessed = wanted = 0
    for sentence in (sentence for document in documents for sentence in document):
        gold, guess = set(spans(sentence)), set(tagger(sentence))
        right, guessed, wanted = right + len(gold & guess), guessed + len(guess), wanted + len(gold)
    return right / guessed, right / wanted, 2 * right / (guessed + wanted)


def report(corpus: dict[str, Split]) -> None:
    """Print the statistics of the corpus and the figures of the dictionary tagger on test."""
    print(f"{'split':6}{'docs':>6}{'sents':>7}{'words':>8}{'w/sent':>8}{'bare':>7}", *(f"{t:>6}" for t in TYPES))
    for name, split in corpus.items():
        sentences = [sentence for document in split.documents for sentence in document]
        words = sum(map(len, sentences))
        bare = sum(not spans(sentence) for sentence in sentences) / len(sentences)
        counts = Counter(tag for _, tag in mentions(split.documents))
        row = f"{name:6}{len(split.documents):6}{len(sentences):7}{words:8}{words / len(sentences):8.1f}{bare:7.1%}"
        print(row, *(f"{counts[t]:6}" for t in TYPES))

    known: dict[str, Counter[str]] = defaultdict(Counter)  # the types of each form in train
    for surface, tag in mentions(corpus["train"].documents):
        known[surface][tag] += 1
    types: dict[str, set[str]] = defaultdict(set)  # the same in the corpus
    for split in corpus.values():
        for surface, tag in mentions(split.documents):
            types[surface].add(tag)
    test = list(mentions(corpus["test"].documents))
    forms = Counter(surface for surface, _ in set(test))
    other = sum(s in known and known[s].most_common(1)[0][0] != tag for s, tag in test)
    unseen, several = sum(s not in known for s, _ in test), sum(len(types[s]) > 1 for s, _ in test)
    print(f"test: {len(test)} entities, {len(forms)} forms")
    print(f"  entities whose form is no entity in train: {unseen / len(test):.1%}")
    print(f"  entities whose form has several types in the corpus: {several / len(test):.1%}")
    print(f"  entities whose form mostly has another type in train: {other / len(test):.1%}")
    print(f"  forms with several types in the corpus: {sum(len(types[s]) > 1 for s in forms) / len(forms):.1%}")
    print(f"  forms with several types in test alone: {sum(n > 1 for n in forms.values())}")

    used = {template for split in corpus.values() for template in split.templates}
    trained, tested = set(corpus["train"].templates), corpus["test"].templates
    new = set(tested) - trained
    print(f"templates: {len(used)} in all, {len(trained)} in train")
    print(f"  in test: {len(set(tested))}, not in train: {len(new) / len(set(tested)):.1%}")
    print(f"  sentences of test from these: {sum(t in new for t in tested) / len(tested):.1%}")

    precision, recall, f1 = score(dictionary_tagger(corpus["train"].documents), corpus["test"].documents)
    print(f"dictionary tagger on test: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}")


def main() -> int:
    """Write, check or measure the corpus."""
    parser = argparse.ArgumentParser(description="The NER sample corpus in data/ner.")
    parser.add_argument("--check", action="store_true", help="compare the files on disk, write nothing")
    parser.add_argument("--baseline", action="store_true", help="print statistics and a baseline, write nothing")
    args = parser.parse_args()
    corpus = make_corpus()
    if args.baseline:
        report(corpus)
        return 0
    stale = 0
    for name, split in corpus.items():
        path, content = DATA / f"{name}.txt", to_text(split.documents).encode("utf-8")
        if not args.check:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            print(f"{path.name} differs")
            stale += 1
    if not args.check:
        print("written: train.txt, valid.txt, test.txt")
    elif not stale:
        print("up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
