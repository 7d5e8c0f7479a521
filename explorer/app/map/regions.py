"""Regions of the map: where points crowd, and the words that tell one crowd from the others.

It works on places and captions; it knows no library and no Streamlit.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

MAX_CLUSTERED_PLACES = 20_000  # places; more are sampled
MAX_REGIONS = 40
MIN_WORD_SHARE = 0.1  # of a crowd's images that have a word, for the crowd to be called by it
WORD = re.compile(r"[^\W\d_]{3,}")
EMPTY = frozenset(
    {"and", "are", "for", "from", "has", "its", "not", "one", "that", "the", "this", "with"}
)


@dataclass(frozen=True, eq=False)
class Region:
    """A crowd on the map: its words, the middle of its places, and rows that belong to it."""

    words: str
    middle: tuple[float, float]
    rows: Int[np.ndarray, " K"]


def find_regions(
    xy: Float[np.ndarray, "N 2"], captions: Sequence[str], *, seed: int = 0
) -> list[Region]:
    """Find the crowds, the largest first, and name each by two words of its captions.

    A crowd whose captions have no words is left out. Of many points a sample is looked at, and
    `rows` are of the sample.

    Source: c-TF-IDF, Grootendorst 2022, eq. 2.
    """
    members = crowds(xy, seed=seed)
    named = zip(_telling_words(members, captions), members, strict=True)
    return [Region(words, middle_of(xy[own]), own) for words, own in named if words]


def crowds(xy: Float[np.ndarray, "N 2"], *, seed: int = 0) -> list[Int[np.ndarray, " K"]]:
    """Return the rows of each crowd, the largest first; of many points a sample is looked at.

    Source: HDBSCAN, Campello et al. 2013.
    """
    from sklearn.cluster import HDBSCAN

    rows = np.arange(len(xy))
    if len(rows) > MAX_CLUSTERED_PLACES:
        rows = np.sort(
            np.random.default_rng(seed).choice(rows, MAX_CLUSTERED_PLACES, replace=False)
        )
    smallest = max(5, len(rows) // 120)
    if len(rows) < 2 * smallest:
        return []
    crowd = HDBSCAN(min_cluster_size=smallest, min_samples=5, copy=True).fit_predict(xy[rows])
    members = [rows[crowd == c] for c in range(crowd.max() + 1)]
    return sorted(members, key=len, reverse=True)[:MAX_REGIONS]


def middle_of(xy: Float[np.ndarray, "K 2"]) -> tuple[float, float]:
    """Return the median place."""
    x, y = np.median(xy, axis=0)
    return float(x), float(y)


def _telling_words(members: list[Int[np.ndarray, " K"]], captions: Sequence[str]) -> list[str]:
    """Return for each crowd its two words with the largest tf · log(1 + A / f).

    tf is a word's share of the crowd's images, f its count over all crowds, A the mean number of
    words a crowd. A word that few of its images have does not name it.
    """
    counts = [Counter(w for i in own for w in _words(captions[i])) for own in members]
    total = sum(counts, Counter[str]())
    average = total.total() / max(1, len(counts))
    names = []
    for own, count in zip(members, counts, strict=True):
        often = {w: n for w, n in count.items() if n >= MIN_WORD_SHARE * len(own)}
        weight = {w: n * np.log1p(average / total[w]) for w, n in often.items()}
        names.append(", ".join(sorted(weight, key=lambda w: (-weight[w], w))[:2]))
    return names


def _words(caption: str) -> set[str]:
    return {word.lower() for word in WORD.findall(caption)} - EMPTY
