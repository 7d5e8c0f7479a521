"""Measure `--min-score auto` beside fixed cosines: precision, recall, F1, and what is not there.

    python benchmarks/relevance.py                          # pocket on the sample library
    python benchmarks/relevance.py --points photos.npz      # points of another model

The file has unit vectors: V (N × D, images), Q (queries), A (queries without a right answer),
B (the phrases of explorer/library/neutral.txt), and rel (queries × images, bool).
"""

import argparse

import numpy as np

import explorer as ex
from explorer.library.relevance import Relevance, neutral_phrases

FIXED = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
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


def line(name: str, found: np.ndarray, absent: np.ndarray, relevant: np.ndarray) -> str:
    """One row of the table: means over the queries; nothing found counts as precision 1."""
    right, given = (found & relevant).sum(1), found.sum(1)
    precision = np.where(given == 0, 1, right / np.maximum(given, 1)).mean()
    recall = (right / relevant.sum(1)).mean()
    f1 = (2 * right / (given + relevant.sum(1))).mean()
    nothing = [(~each.any(1)).mean() for each in (absent, found)]
    return f"| {name} | " + " | ".join(f"{x:.2f}" for x in (precision, recall, f1, *nothing)) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", help="An .npz of another model's points; default: pocket.")
    file = parser.parse_args().points
    points = dict(np.load(file)) if file else sample_points()
    relevant = points["rel"]
    scores, absent = (points[name] @ points["V"].T for name in ("Q", "A"))
    fitted = Relevance.fit([points["V"]], points["B"])
    auto = [np.array([fitted.matching(row) for row in each]) for each in (scores, absent)]
    print("| cut | precision | recall | F1 | nothing, rightly | nothing, wrongly |")
    print("|---|---|---|---|---|---|")
    print(line("auto", *auto, relevant))
    for cut in FIXED:
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
