"""Measure `--min-score auto` beside fixed cosines: precision, recall, F1, and what is not there.

    python benchmarks/relevance.py                          # pocket on the sample library: words
    python benchmarks/relevance.py --images                 # the same, images as queries
    python benchmarks/relevance.py --library photos.lib     # your own photos in class folders

A library of class folders: the queries are the names of the folders that hold the images, and of
the folders above them that do not hold all; right answers are the images below. `--absent FILE`
has phrases, one a line, that no image shows; without it, those of this file that no folder's name
holds. With --images a query is an image, right answers are the other images of its innermost
folder (in the sample library, of its name: the same glyph in another style), and queries without
a right answer are images of every tenth class, which are taken out of the library.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import explorer as ex
from explorer.library.relevance import Relevance, neutral_phrases

FIXED = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
FIXED_IMAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # images lie nearer to each other than to words
NEUTRAL_IMAGES = 256  # as many as `Reader.search` takes, spread over the library
MIN_RELEVANT = 2  # images of a folder, for its name to be a query
ABSENT = [
    "theatre curtain",
    "viaduct",
    "bassoon",
    "stethoscope",
    "chainsaw",
    "lawn mower",
    "bulletproof vest",
    "sewing machine",
    "dishwasher",
    "oil filter",
    "barbershop",
    "carousel",
    "greenhouse",
    "hammock",
    "iron",
    "ladle",
    "mortar",
    "parking meter",
    "pencil sharpener",
    "power drill",
    "quill",
    "radiator",
    "shovel",
    "snowplow",
    "spatula",
    "stone wall",
    "sunglasses case",
    "swing",
    "thimble",
    "tripod",
    "vacuum cleaner",
    "waffle iron",
    "wool",
    "worm fence",
    "breakwater",
    "coral reef",
    "valley",
    "stupa",
    "dam",
    "church pew",
]


def sample_points() -> dict[str, np.ndarray]:
    """Points of the sample library; a query is a name or a keyword of 3 to 40 images' captions."""
    library = ex.sample_library()
    rows = library.rows
    words = [
        {name, *map(str.strip, str(more).split(","))}
        for name, more in zip(rows["name"], rows["keywords"], strict=True)
    ]
    names = sorted(set(rows["name"]))
    known = sorted(set().union(*words) - set(names))
    queries = names + [w for w in known if 12 <= sum(w in each for each in words) <= 160]
    absent = [query for query in ABSENT if not any(query in each for each in words)]

    def units(texts: list[str]) -> np.ndarray:
        return library.encoder.encode_text(texts).unit

    relevant = np.array([[query in each for each in words] for query in queries])
    vectors = {"V": library.points().unit, "B": units(list(neutral_phrases()))}
    return vectors | {"Q": units(queries), "A": units(absent), "rel": relevant}


def folder_points(library: ex.Library, absent: Sequence[str]) -> dict[str, np.ndarray]:
    """Points of a library of class folders; a query is a folder's name."""
    parts = [list(map(_plain, Path(each).parts)) for each in _folders(library)]
    shared = set.intersection(*map(set, parts))
    counts = {word: sum(word in each for each in parts) for each in parts for word in each}
    queries = sorted(w for w, n in counts.items() if n >= MIN_RELEVANT and w not in shared)
    absent = [query for query in absent if not any(query in word for word in counts)]
    relevant = np.array([[query in each for each in parts] for query in queries])
    encode = library.encoder.encode_text
    words = {"B": list(neutral_phrases()), "Q": queries, "A": absent}
    vectors = {name: encode(texts).unit for name, texts in words.items()}
    return vectors | {"V": library.points().unit, "rel": relevant}


def image_points(library: ex.Library) -> dict[str, np.ndarray]:
    """Points of images as queries; right are other images of the same name or folder."""
    rows = library.rows
    classes = np.array(rows["name"] if "name" in library.columns else _folders(library))
    units = library.points().unit
    known = np.unique(classes)
    gone = np.isin(classes, known[::10])
    first = np.array([np.flatnonzero(classes == name)[0] for name in known[::10]])
    kept, classes = units[~gone], classes[~gone]
    spread = np.linspace(0, len(kept) - 1, min(NEUTRAL_IMAGES, len(kept))).astype(int)
    relevant = classes[:, None] == classes[None]
    np.fill_diagonal(relevant, False)
    asked = np.flatnonzero(relevant.any(1))
    return {
        "V": kept,
        "B": kept[spread],
        "Q": kept[asked],
        "A": units[first],
        "rel": relevant[asked],
        "own": asked,
    }


def _folders(library: ex.Library) -> list[str]:
    """The folder of each image, below the folder that holds them all."""
    folders = [os.path.dirname(os.fsdecode(path)) for path in library.rows["path"]]
    shared = os.path.commonpath(folders)
    return [os.path.relpath(folder, shared) for folder in folders]


def _plain(name: str) -> str:
    return name.replace("-", " ").replace("_", " ").lower()


def line(name: str, found: np.ndarray, absent: np.ndarray, relevant: np.ndarray) -> str:
    """One row of the table: means over the queries; nothing found counts as precision 1."""
    right, given = (found & relevant).sum(1), found.sum(1)
    precision = np.where(given == 0, 1, right / np.maximum(given, 1)).mean()
    recall = (right / relevant.sum(1)).mean()
    f1 = (2 * right / (given + relevant.sum(1))).mean()
    nothing = [(~each.any(1)).mean() for each in (absent, found)]
    return f"| {name} | " + " | ".join(f"{x:.2f}" for x in (precision, recall, f1, *nothing)) + " |"


def points_of(given: argparse.Namespace) -> dict[str, np.ndarray]:
    """Points of the library and the queries that were asked for."""
    library = ex.Library.open(given.library) if given.library else ex.sample_library()
    if given.images:
        return image_points(library)
    absent = given.absent.read_text("utf-8").splitlines() if given.absent else ABSENT
    return folder_points(library, absent) if given.library else sample_points()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="of images in class folders")
    parser.add_argument("--images", action="store_true", help="images as queries")
    parser.add_argument("--absent", type=Path, help="phrases that no image shows, one a line")
    given = parser.parse_args()
    points = points_of(given)
    relevant = points["rel"]
    scores, absent = (points[name] @ points["V"].T for name in ("Q", "A"))
    fitted = Relevance.fit([points["V"]], points["B"])
    side = "image" if given.images else "text"
    auto = [np.array([fitted.matching(row, side) for row in each]) for each in (scores, absent)]
    if "own" in points:  # a query's own image is found, and counts neither for nor against
        own = np.arange(len(scores)), points["own"]
        auto[0][own], scores[own] = False, -1
    print("| cut | precision | recall | F1 | nothing, rightly | nothing, wrongly |")
    print("|---|---|---|---|---|---|")
    print(line("auto", *auto, relevant))
    for cut in FIXED_IMAGES if given.images else FIXED:
        print(line(f"{cut:.2f}", scores >= cut, absent >= cut, relevant))
    grid = np.arange(0, 1, 0.01)
    f1 = [(2 * ((scores >= c) & relevant).sum(1) / ((scores >= c).sum(1) + relevant.sum(1))).mean()
          for c in grid]  # fmt: skip
    best = grid[int(np.argmax(f1))]
    print(line(f"{best:.2f}, the best with hindsight", scores >= best, absent >= best, relevant))
    print(f"\n{len(scores)} queries with and {len(absent)} without a right answer, "
          f"{len(points['V']):,} images")  # fmt: skip


if __name__ == "__main__":
    main()
