"""How many names of regions are right, without captions, in a library whose images are known.

    python benchmarks/region_names.py [--clusters 12 24 48]      # pocket on the sample library
    python benchmarks/region_names.py --library photos.lib       # your own photos in class folders

Regions are clusters of the vectors, and the crowds of the map. Captions are hidden, so names come
from the vocabulary. A name is right if one of its words stands in the known words of at least 30 %
of the region's images, as it must in captions: their name, keywords and group, or the names of
their folders. Chance is the share when names are dealt to other regions, over 100 deals.
"""

import argparse
import os
import re
from pathlib import Path

import numpy as np

import explorer as ex
from explorer import regions
from explorer.projection import Projection
from explorer.regions.crowds import crowds

MIN_SHARE = 0.3  # of a region's images that a name must fit
DEALS = 100


def stems(text: str) -> set[str]:
    """Words in lower case, without a plural's s."""
    return {word.lower().removesuffix("s") for word in re.findall(r"[^\W\d_]{3,}", text)}


def known_words(library: ex.Library) -> list[set[str]]:
    """What is known of each image: its name, keywords and group, else its folders."""
    rows = library.rows
    columns = [name for name in ("name", "keywords", "group") if name in library.columns]
    if columns:
        texts = rows[columns].fillna("").astype(str).agg(" ".join, axis=1)
    else:
        texts = [os.path.dirname(os.fsdecode(path)) for path in rows["path"]]
    return list(map(stems, texts))


def fits(name: str, words: list[set[str]]) -> bool:
    """Whether a word of the name is known of enough of these images."""
    return float(np.mean([bool(stems(name) & each) for each in words])) >= MIN_SHARE


def line(kind: str, library: ex.Library, labels: np.ndarray, known: list[set[str]]) -> str:
    """One row of the table, and each name with whether it is right."""
    found = regions.region_names(library, labels)
    words = {label: [known[row] for row in np.flatnonzero(labels == label)] for label in found}
    named = {label: name.words for label, name in found.items() if name}
    right = {label: fits(name, words[label]) for label, name in named.items()}
    print(", ".join(f"{n}{'' if right[k] else ' (wrong)'}" for k, n in named.items()) or "none")
    random, labelled = np.random.default_rng(0), list(found)
    dealt = [
        np.mean([fits(n, words[k]) for n, k in zip(named.values(), deal, strict=False)] or [0])
        for deal in (random.permutation(len(labelled)).tolist() for _ in range(DEALS))
        for deal in [[labelled[i] for i in deal]]
    ]
    share = f"{np.mean(list(right.values())):.2f}" if named else "–"
    counts = f"{len(found)} | {len(named)} | {sum(right.values())}"
    return f"| {kind} | {counts} | {share} | {np.mean(dealt):.2f} |"


def main() -> None:
    """Print the names, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="of images in class folders")
    parser.add_argument("--clusters", type=int, nargs="+", default=[12, 24, 48])
    given = parser.parse_args()
    library = ex.Library.open(given.library) if given.library else ex.sample_library()
    regions.captions_of = lambda *_: None
    known = known_words(library)
    table = [
        line(f"{count} clusters", library, ex.cluster(library, count), known)
        for count in given.clusters
    ]
    labels = np.full(len(library), None, dtype=object)
    for number, rows in enumerate(
        crowds(Projection.cached(library.cache_folder, library.points()).xy)
    ):
        labels[rows] = number
    table.append(line("crowds of the map", library, labels, known))
    print("\n| regions | count | named | right | share of names | by chance |")
    print("|---|---|---|---|---|---|")
    print("\n".join(table))


if __name__ == "__main__":
    main()
