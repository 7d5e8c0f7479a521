"""Exact search of vectors that stay on disk: all of them in turn, or a few rows."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

PART_ROWS = 4096  # that are in memory at once


class Source(Protocol):
    """N unit vectors that are read where they are asked for."""

    def __len__(self) -> int:
        """N."""

    @property
    def dimension(self) -> int:
        """D."""

    def units(self, rows: Int[np.ndarray, " K"]) -> Float[np.ndarray, "K D"]:
        """Read the unit vectors of these rows, as float32."""


def parts(
    source: Source, start: int = 0, size: int = PART_ROWS
) -> Iterator[tuple[int, Float[np.ndarray, "P D"]]]:
    """Yield all unit vectors from row `start` on, part by part, each with its first row."""
    for first in range(start, len(source), size):
        yield first, source.units(np.arange(first, min(first + size, len(source))))


def all_scores(
    source: Source, queries: Float[np.ndarray, "Q D"]
) -> Iterator[tuple[int, Float[np.ndarray, "Q P"]]]:
    """Yield the cosines of all queries with every row, part by part, each with its first row."""
    for first, units in parts(source):
        yield first, queries @ units.T


def best(
    scores: Float[np.ndarray, " N"], rows: Int[np.ndarray, " N"], k: int
) -> tuple[Float[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Return the `k` best scores and their rows, best first; of equal scores, lower rows first."""
    if len(scores) > k:  # every row that equals the k-th best stays, so that rows decide
        kept = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
        scores, rows = scores[kept], rows[kept]
    order = np.lexsort((rows, -scores))[:k]
    return scores[order], rows[order]


def exact_search(
    source: Source,
    queries: Float[np.ndarray, "Q D"],
    k: int,
    allowed: Bool[np.ndarray, " N"] | None = None,
) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
    """Find the `k` nearest rows of every query among all rows, or among the allowed ones.

    `k` is no more than there are. Only the allowed rows are read.
    """
    rows = np.arange(len(source)) if allowed is None else np.flatnonzero(allowed)
    found = [(np.zeros(0, np.float32), np.zeros(0, np.int64)) for _ in queries]
    for start in range(0, len(rows), PART_ROWS):
        part = rows[start : start + PART_ROWS]
        for query, scores in enumerate(queries @ source.units(part).T):
            old = found[query]
            both = np.concatenate([old[0], scores]), np.concatenate([old[1], part])
            found[query] = best(*both, k)
    return np.stack([scores for scores, _ in found]), np.stack([rows for _, rows in found])
