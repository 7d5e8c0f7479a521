"""Queries that are held out to measure how many of the nearest rows an index finds.

Three kinds, since an index that finds the neighbours of a row may miss those of words:

- rows of the library, of which the row itself does not count;
- points halfway between two rows;
- mixtures of rows around their mean, with noise in all directions: like the words of a CLIP, they
  lie far from every row (cosines of 0.2 to 0.4 with the nearest).

Some of each kind choose how much is looked at. The others only measure what was chosen: the least
effort that finds enough of some queries was lucky with them, and finds less of others. With 48 of
a kind in both uses, 0.998 was told of 100,000 × 768 where fresh ones like words found 0.988.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.index.stored import Source

NEIGHBOURS = 10  # of recall@10
KINDS = ("image", "between", "words")
EQUAL = 1e-6  # cosines that differ by less are equal
FIRST_LOOK = 1024  # rows; what they bring is kept before the others are compared with it
DEPTH = 32  # rows that are kept of each query: more are needed where cosines are equal


@dataclass(eq=False)
class HeldOut:
    """Q queries with their nearest rows among those whose number is a multiple of `step`."""

    queries: Float[np.ndarray, "Q D"]
    kind: Int[np.ndarray, " Q"]  # its place in KINDS
    measures: Bool[np.ndarray, " Q"]  # the others choose
    own: Int[np.ndarray, " Q"]  # the row that a query is, or -1
    scores: Float[np.ndarray, "Q E"]
    rows: Int[np.ndarray, "Q E"]
    step: int = 1

    @classmethod
    def of(
        cls,
        source: Source,
        random: np.random.Generator,
        choosing: tuple[int, int, int],
        measuring: tuple[int, int, int],
        but: Int[np.ndarray, " R"] | None = None,
    ) -> Self:
        """Draw as many queries of each kind; `look` at all rows before `recall` is asked.

        Args:
            but: rows that are no queries.
        """

        def units(vectors: np.ndarray) -> np.ndarray:
            return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

        counts, free = np.add(choosing, measuring), np.arange(len(source))
        if but is not None:
            free = np.delete(free, but)
        rows = [np.sort(random.choice(free, max(counts), replace=False)) for _ in range(3)]
        a, b, c = map(source.units, rows)
        order = random.permutation(len(a))
        a, b, c = a[order], random.permutation(b), random.permutation(c)
        middle = np.concatenate([a, b, c]).mean(axis=0)
        noise = units(random.standard_normal(a.shape))
        words = units(0.5 * a + 0.4 * b + 0.4 * c - 1.3 * middle + 0.8 * noise)
        kinds = zip((a, units(a + b + 1e-3 * noise), words), counts, strict=True)
        queries = np.concatenate([vectors[:count] for vectors, count in kinds])
        measures = [np.arange(n) >= some for n, some in zip(counts, choosing, strict=True)]
        own = np.full(len(queries), -1)
        own[: counts[0]] = rows[0][order[: counts[0]]]
        empty = np.full((len(queries), DEPTH), -2, np.float32)
        kind, nothing = np.repeat(np.arange(3), counts), np.full(empty.shape, -1)
        return cls(queries, kind, np.concatenate(measures), own, empty, nothing)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what there is of each query, by name."""
        names = (field.name for field in fields(self) if field.name != "step")
        return {name: getattr(self, name) for name in names}

    def split(self) -> tuple[Self, Self]:
        """Return the queries that choose an effort, and those that measure it."""
        choosing, measuring = (
            {name: array[self.measures == measures] for name, array in self.arrays().items()}
            for measures in (False, True)
        )
        return type(self)(**choosing, step=self.step), type(self)(**measuring, step=self.step)

    def joined(self, other: Self) -> Self:
        """Return these queries, which all choose now, and others, of which some do."""
        first = self.arrays() | {"measures": np.zeros(len(self.queries), bool)}
        both = {name: np.concatenate([first[name], more]) for name, more in other.arrays().items()}
        return type(self)(**both, step=self.step)

    def look(self, first: int, scores: Float[np.ndarray, "Q P"]) -> None:
        """Take in the cosines of the queries with the rows from `first` on."""
        skip = -first % self.step
        scores = scores[:, skip :: self.step]
        rows = np.arange(first + skip, first + skip + scores.shape[1] * self.step, self.step)
        for some in slice(0, FIRST_LOOK), slice(FIRST_LOOK, None):
            self._keep(scores[:, some], rows[some])

    def _keep(self, scores: Float[np.ndarray, "Q P"], rows: Int[np.ndarray, " P"]) -> None:
        """Keep the nearest; only those that are nearer than the last that is kept are sorted."""
        if not len(rows):
            return
        nearer = scores > self.scores.min(axis=1)[:, None]
        query, place = np.divmod(np.flatnonzero(nearer), len(rows))
        other = rows[place] != self.own[query]
        query, place = query[other], place[other]
        column = np.arange(len(query)) - np.searchsorted(query, query)
        shape = len(scores), int(column.max(initial=-1)) + 1
        more, names = np.full(shape, -2, np.float32), np.full(shape, -1)
        more[query, column], names[query, column] = scores[query, place], rows[place]
        both = np.concatenate([self.scores, more], axis=1)
        names = np.concatenate([self.rows, names], axis=1)
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
        shares = np.where(right.all(axis=1), 1.0, shares)
        means = np.bincount(self.kind, shares) / np.bincount(self.kind)
        return dict(zip(KINDS, means.tolist(), strict=True))
