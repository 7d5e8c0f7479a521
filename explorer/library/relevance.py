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

BEST = 3  # rows whose mean score is a query's best
PRESENCE = 0.5  # quantile of the neutral queries' best, which a query must reach
PEAK = 0.6  # of the way from a query's median score to its best
DEVIATIONS = 2.25  # of the neutral queries' scores at a row, above their mean
RELEVANCE_VERSION = 2  # of the cache: raise it with a change of the phrases or of BEST
NEUTRAL_ROWS = 256  # of the library, as neutral queries on the image side


@cache
def neutral_phrases() -> tuple[str, ...]:
    """Return the common phrases that stand for words in general."""
    return tuple((FilePath(__file__).parent / "neutral.txt").read_text("utf-8").splitlines())


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
        means, spreads, best = [], [], np.full((BEST, len(neutral)), -1.0, np.float32)
        for part in units:
            scores = part @ neutral.T
            means.append(scores.mean(axis=1))
            spreads.append(scores.std(axis=1))
            others = np.where(scores > 1 - 1e-4, -1, scores)
            best = np.sort(np.concatenate([best, others]), axis=0)[-BEST:]
        return cls(np.concatenate(means), np.concatenate(spreads), best.mean(axis=0))

    def matching(self, scores: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
        """Say which rows match a query, given its cosine with each row."""
        others = np.where(scores > 1 - 1e-4, -1, scores)  # the query's own image says nothing
        best = float(np.sort(others)[-BEST:].mean())
        middle = float(np.median(scores))
        if best < np.quantile(self.bests, PRESENCE):
            return scores > 1 - 1e-4
        high = scores - middle >= PEAK * (best - middle)
        return high & (scores - self.mean >= DEVIATIONS * np.maximum(self.spread, 1e-6))

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
