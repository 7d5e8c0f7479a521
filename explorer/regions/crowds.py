"""Crowds: where the points of a map lie close together, and the words that tell one from another.

Every map takes its labels from here: the dashboard's, and the page that `unclip map` writes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from explorer.errors import UnknownModel, WeightsMissing
from explorer.library import Library
from explorer.notes import note
from explorer.regions import captions_of, name_regions

MAX_CLUSTERED_PLACES = 20_000  # places; more are sampled
MAX_REGIONS = 40


@dataclass(frozen=True, eq=False)
class Region:
    """A crowd on the map: its words, the middle of its places, and rows that belong to it.

    Args:
        radius: median distance of its places to the middle.
        level: 0, or 1 if it is a finer crowd, to be named when one is near.
    """

    words: str
    middle: tuple[float, float]
    rows: Int[np.ndarray, " K"]
    radius: float = 0.0
    level: int = 0


def map_regions(library: Library, xy: Float[np.ndarray, "N 2"], *, levels: int = 1) -> list[Region]:
    """Return the crowds of a map that words tell from the others, the largest first.

    A crowd is left out if no word tells it apart, as `name_regions` judges. Words that are not of
    captions end in a question mark: the model guessed them. Of many points a sample is looked at,
    and `rows` are of the sample. A second level has crowds a quarter as large, without those whose
    words are said already.

    Args:
        xy: places, in the order of the library's rows.

    Where there are no captions and the model cannot be loaded, there are none, and a note says so.
    """
    found: list[Region] = []
    for level in range(levels):
        members = crowds(xy, finer=4**level)
        said = {region.words for region in found}
        try:
            named = _named(library, xy, members, level) if len(members) > 1 else []
        except (UnknownModel, WeightsMissing) as error:
            note(f"The regions have no names, which takes captions or the model: {error}")
            break
        found += [region for region in named if region.words not in said]
    return found


def _named(
    library: Library, xy: Float[np.ndarray, "N 2"], members: list[Int[np.ndarray, " K"]], level: int
) -> list[Region]:
    labels = np.full(len(library), None, dtype=object)
    for number, rows in enumerate(members):
        labels[rows] = number
    names = name_regions(library, labels)
    mark = "" if captions_of(library, np.concatenate(members)) else "?"
    named = []
    for number, rows in enumerate(members):
        if words := names[number]:
            middle = middle_of(xy[rows])
            radius = float(np.median(np.hypot(*(xy[rows] - middle).T)))
            named.append(Region(words + mark, middle, rows, radius, level))
    return named


def crowds(
    xy: Float[np.ndarray, "N 2"], *, finer: int = 1, seed: int = 0
) -> list[Int[np.ndarray, " K"]]:
    """Return the rows of each crowd, the largest first; of many points a sample is looked at.

    Args:
        finer: how many times smaller crowds may be, and how many times more.

    Source: HDBSCAN, Campello et al. 2013.
    """
    from sklearn.cluster import HDBSCAN

    rows = looked_at(len(xy), seed=seed)
    smallest = max(5, len(rows) // (120 * finer))
    if len(rows) < 2 * smallest:
        return []
    crowd = HDBSCAN(min_cluster_size=smallest, min_samples=5, copy=True).fit_predict(xy[rows])
    members = [rows[crowd == c] for c in range(crowd.max() + 1)]
    return sorted(members, key=len, reverse=True)[: MAX_REGIONS * finer]


def looked_at(count: int, *, seed: int = 0) -> Int[np.ndarray, " K"]:
    """Return which of `count` places `crowds` looks at: all, or a sample of many, in order.

    >>> len(looked_at(30_000)), looked_at(3).tolist()
    (20000, [0, 1, 2])
    """
    rows = np.arange(count)
    if count > MAX_CLUSTERED_PLACES:
        rows = np.random.default_rng(seed).choice(rows, MAX_CLUSTERED_PLACES, replace=False)
    return np.sort(rows)


def middle_of(xy: Float[np.ndarray, "K 2"]) -> tuple[float, float]:
    """Return the place of the image that is nearest to the median place: it lies in the crowd."""
    distances = ((xy - np.median(xy, axis=0)) ** 2).sum(axis=1)
    x, y = xy[distances.argmin()].tolist()
    return x, y
