"""Queries that are held out to measure how many of the nearest rows an index finds.

Three kinds, since an index that finds the neighbours of a row may miss those of words:

- rows of the library, of which the row itself does not count;
- points halfway between two rows;
- mixtures of rows around their mean, with noise in all directions: like the words of a CLIP, they
  lie far from every row (cosines of 0.2 to 0.4 with the nearest).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from explorer.index.stored import Source

NEIGHBOURS = 10  # of recall@10
PER_KIND = 48  # queries
KINDS = ("image", "between", "words")
EQUAL = 1e-6  # cosines that differ by less are equal
DEPTH = 32  # rows that are kept of each query: more are needed where cosines are equal


@dataclass(eq=False)
class HeldOut:
    """Q queries with their nearest rows among those whose number is a multiple of `step`."""

    queries: Float[np.ndarray, "Q D"]
    own: Int[np.ndarray, " Q"]  # the row that a query is, or -1
    scores: Float[np.ndarray, "Q E"]
    rows: Int[np.ndarray, "Q E"]
    step: int = 1

    @classmethod
    def of(cls, source: Source, random: np.random.Generator, step: int = 1) -> Self:
        """Choose queries; `look` at all rows before `recall` is asked."""

        def units(vectors: np.ndarray) -> np.ndarray:
            return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

        rows = [np.sort(random.choice(len(source), PER_KIND, replace=False)) for _ in range(3)]
        a, b, c = map(source.units, rows)
        b, c = random.permutation(b), random.permutation(c)
        middle = np.concatenate([a, b, c]).mean(axis=0)
        noise = units(random.standard_normal(a.shape))
        words = units(0.5 * a + 0.4 * b + 0.4 * c - 1.3 * middle + 0.8 * noise)
        queries = np.concatenate([a, units(a + b + 1e-3 * noise), words])
        own = np.concatenate([rows[0], np.full(2 * PER_KIND, -1)])
        empty = np.full((len(queries), DEPTH), -2, np.float32)
        return cls(queries, own, empty, np.full(empty.shape, -1), step)

    def look(self, first: int, scores: Float[np.ndarray, "Q P"]) -> None:
        """Take in the cosines of the queries with the rows from `first` on."""
        skip = -first % self.step
        scores = scores[:, skip :: self.step].copy()
        rows = np.arange(first + skip, first + skip + scores.shape[1] * self.step, self.step)
        scores[self.own[:, None] == rows[None]] = -2
        both = np.concatenate([self.scores, scores], axis=1)
        names = np.concatenate([self.rows, np.broadcast_to(rows, scores.shape)], axis=1)
        kept = np.argpartition(-both, DEPTH - 1, axis=1)[:, :DEPTH]
        self.scores = np.take_along_axis(both, kept, axis=1)
        self.rows = np.take_along_axis(names, kept, axis=1)

    def places(self, found: Int[np.ndarray, "Q C"]) -> Int[np.ndarray, "Q E"]:
        """Return where each of the nearest rows stands among the rows found; C if it does not."""
        there = found[:, None, :] == self.rows[:, :, None]
        return np.where(there.any(axis=2), there.argmax(axis=2), found.shape[1])

    @property
    def tenth(self) -> Float[np.ndarray, " Q"]:
        """The score of each query's tenth neighbour, or what equals it."""
        return -np.partition(-self.scores, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1] - EQUAL

    def errors(
        self, codes: Float[np.ndarray, "Q C"], places: Int[np.ndarray, "Q E"]
    ) -> Float[np.ndarray, " M"]:
        """Return by how much the codes of the nearest rows that were found score too low."""
        there = (self.scores >= self.tenth[:, None]) & (places < codes.shape[1])
        found = np.take_along_axis(codes, np.minimum(places, codes.shape[1] - 1), axis=1)
        return (self.scores - found)[there]

    def recall(
        self, places: Int[np.ndarray, "Q E"], candidates: Int[np.ndarray, " Q"]
    ) -> dict[str, float]:
        """Return recall@10 by kind of query, if the best of its first candidates are chosen.

        A query that more than `DEPTH` rows answer equally well counts as answered.
        """
        right = self.scores >= self.tenth[:, None]
        hits = (right & (places < candidates[:, None])).sum(axis=1)
        shares = np.minimum(hits, NEIGHBOURS) / NEIGHBOURS
        shares = np.where(right.all(axis=1), 1.0, shares).reshape(len(KINDS), PER_KIND)
        return dict(zip(KINDS, shares.mean(axis=1).tolist(), strict=True))
