"""Relevance: which rows match a query, judged by how neutral queries score in the same library.

Cosines of words and images have no zero point: 0.25 may be a match for one model, query or side
and nothing for another. Three measures of the same library give one:

- the best scores of a query, beside the best of each neutral query: does anything match at all?
- the score of a row, between the query's own median and its best;
- the score of a row, in standard deviations of what neutral queries score at that row.

Neutral queries are common phrases for words (`neutral.txt`), rows of the library for images.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import Self

import numpy as np
from jaxtyping import Bool, Float

from explorer.cache_files import find_cache, write_cache
from explorer.points import Side

BEST = 3  # rows whose mean score is a query's best
# By the side of the query: rows of the library, which are the neutral queries for images, are
# near some other row far more often than a common phrase is.
PRESENCE = {"text": 0.5, "image": 0.1}  # quantile of the neutral queries' best, to be reached
PEAK = {"text": 0.6, "image": 0.9}  # of the way from a query's median score to its best
DEVIATIONS = {"text": 2.25, "image": 0.0}  # of neutral queries' scores at a row, above their mean
RELEVANCE_VERSION = 2  # of the cache: raise it with a change of the phrases or of BEST
NEUTRAL_ROWS = 256  # of the library, as neutral queries on the image side
PART_ROWS = 4096  # rows that are compared with all neutral queries at once
MEDIAN_ROWS = 50_000  # at least, of a larger library, that a query's median is taken of
SELF = 1 - 1e-4  # a score above it is that of a query with its own image


@cache
def neutral_phrases() -> tuple[str, ...]:
    """Return the common phrases that stand for words in general."""
    return tuple((FilePath(__file__).parent / "neutral.txt").read_text("utf-8").splitlines())


def _highest(scores: Float[np.ndarray, "M C"]) -> Float[np.ndarray, "M B"]:
    """Return the `BEST` highest scores of each query, or all where there are fewer.

    It overwrites them. Three passes for a maximum cost a tenth of sorting.
    """
    found = []
    for _ in range(min(BEST, scores.shape[1])):
        at = scores.argmax(axis=1)[:, None]
        found.append(np.take_along_axis(scores, at, axis=1))
        np.put_along_axis(scores, at, -1, axis=1)
    return np.concatenate(found, axis=1)


@dataclass(frozen=True, eq=False)
class Relevance:
    """How neutral queries score in one library of N rows, on one side.

    Args:
        mean: of the neutral queries' cosines at each row.
        spread: their standard deviation.
        bests: the best score of each neutral query, as `PRESENCE` compares them.
    """

    mean: Float[np.ndarray, " N"]
    spread: Float[np.ndarray, " N"]
    bests: Float[np.ndarray, " M"]

    @classmethod
    def fit(
        cls, units: Iterable[Float[np.ndarray, "C D"]], neutral: Float[np.ndarray, "M D"]
    ) -> Self:
        """Measure neutral queries, of length 1, against the library's rows, part by part.

        A row that is itself a neutral query does not count for that query's best.
        """
        means, spreads, best = [], [], np.full((len(neutral), BEST), -1.0, np.float32)
        for part in units:
            scores = neutral @ part.T
            mean = scores.mean(axis=0)
            squares = np.einsum("mc,mc->c", scores, scores) / len(neutral)
            means.append(mean)
            spreads.append(np.sqrt(np.maximum(squares - mean**2, 0)))
            scores[scores > SELF] = -1
            best = np.sort(np.concatenate([best, _highest(scores)], axis=1))[:, -BEST:]
        return cls(np.concatenate(means), np.concatenate(spreads), best.mean(axis=1))

    def matching(
        self, scores: Float[np.ndarray, " N"], side: Side = "text"
    ) -> Bool[np.ndarray, " N"]:
        """Say which rows match a query of one side, given its cosine with each row."""
        others = np.where(scores > SELF, -1, scores)  # the query's own image says nothing
        best = float(_highest(others[None]).mean())
        middle = float(np.median(scores[:: len(scores) // MEDIAN_ROWS + 1]))
        if best < np.quantile(self.bests, PRESENCE[side]):
            return scores > SELF
        high = scores - middle >= PEAK[side] * (best - middle)
        return high & (scores - self.mean >= DEVIATIONS[side] * np.maximum(self.spread, 1e-6))

    def save(self, file: FilePath, key: str) -> None:
        """Write it as a cache of what `key` stands for."""
        content = io.BytesIO()
        np.savez(content, mean=self.mean, spread=self.spread, bests=self.bests)
        write_cache(file, key, content.getvalue())

    @classmethod
    def load(cls, file: FilePath, key: str) -> Self | None:
        """Read what `save` wrote under the same `key`; None if it must be measured again."""
        content = find_cache(file, key)
        if content is None:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(arrays["mean"], arrays["spread"], arrays["bests"])
