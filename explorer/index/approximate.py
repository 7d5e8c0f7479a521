"""ApproximateIndex: few of N rows are read for a query, chosen by codes in memory.

The rows lie in lists around centres (IVF), as codes of two numbers in four bits (PQ, fast scan:
D / 4 bytes a row, or half as much). The best rows by their codes are read from where they are
stored, and their exact cosines decide. How many lists and rows are looked at is chosen by
recall@10 on queries that are held out, and measured on others. Source: Jégou, Douze, Schmid 2011;
André, Kermarrec, Le Scouarnec 2015.

Measured beside it on 10⁵ × 768, text-like queries: one-bit RaBitQ finds 0.84 to 0.89 of the
neighbours where these codes find 0.99, and scalar codes of a byte take four times as long.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.index.checks import available, check_vectors
from explorer.index.codes import Codes
from explorer.index.effort import FIRST_READ, Effort, choose, measured, narrowed
from explorer.index.held_out import HeldOut
from explorer.index.stored import Source, best, exact_search, parts

PROMISE = 0.99  # recall@10 below which an index is not used
CHOOSING = (64, 64, 112)  # queries of each kind that choose how much is looked at
MEASURING = (48, 48, 96)  # others, that measure its recall; that of words differs most
FEW_ROWS = 2048  # allowed rows that are read rather than looked for
MAX_K = 100  # neighbours; for more, all rows are read
GROWTH = 1.25  # times the rows at building, beyond which it is built again
ADDED_AT_ONCE = 16_384  # rows
FILTERED_CANDIDATES = 1024  # at least: of rows that a filter keeps far from a query, many are alike
FILTER_STEP = 7  # every seventh row is allowed in the measure of filtered searches
QUERIES_AT_ONCE = 256  # FAISS does not react to Ctrl-C within one call


Answer = tuple[np.ndarray, np.ndarray]
"""Exact scores and rows of one query's neighbours, best first."""


class ApproximateIndex:
    """Approximate search of stored unit vectors; the scores it returns are exact.

    Build one with `build`. It is like `Index`: `search`, `scores`, `len`.
    """

    def __init__(
        self,
        source: Source,
        codes: Codes,
        held_out: tuple[HeldOut, HeldOut],
        efforts: tuple[Effort, Effort],
        built_rows: int,
    ) -> None:
        self.source, self.codes, self.held_out, self.efforts = source, codes, held_out, efforts
        self.built_rows = built_rows

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def dimension(self) -> int:
        """Return D."""
        return self.codes.dimension

    @property
    def kind(self) -> str:
        """Its name in FAISS's notation."""
        return self.codes.kind

    @property
    def recall(self) -> float:
        """The lowest recall@10 of any kind of query, filtered or not; none of them chose."""
        return lowest(self.efforts)

    def search(
        self,
        queries: Float[np.ndarray, "Q D"],
        k: int,
        allowed: Bool[np.ndarray, " N"] | None = None,
    ) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
        """Return exact cosines and rows of the `k` nearest neighbours found, best first.

        Few allowed rows are all read, and so is everything where `k` is large.

        Raises:
            QueryError: as `Index.search`.
        """
        check_vectors(queries, self.dimension, "The queries")
        k = available(k, allowed, len(self))
        if k == 0 or not len(queries):
            return np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        few = allowed is not None and np.count_nonzero(allowed) <= FEW_ROWS
        if few or k > MAX_K:
            return exact_search(self.source, queries, k, allowed)
        groups = (queries[i : i + QUERIES_AT_ONCE] for i in range(0, len(queries), QUERIES_AT_ONCE))
        found = [answer for group in groups for answer in self._answers(group, k, allowed)]
        return np.stack([scores for scores, _ in found]), np.stack([rows for _, rows in found])

    def scores(self, query: Float[np.ndarray, " D"]) -> Float[np.ndarray, " N"]:
        """Return the score of one query with every row; all vectors are read."""
        check_vectors(query[None], self.dimension, "The queries")
        found = [units @ query.astype(np.float32) for _, units in parts(self.source)]
        return np.concatenate([np.zeros(0, np.float32), *found])

    def _answers(
        self, queries: Float[np.ndarray, "Q D"], k: int, allowed: Bool[np.ndarray, " N"] | None
    ) -> list[Answer]:
        """Find the neighbours of each query.

        Where a filter keeps few rows, they may lie far from the query: half of the lists that
        sufficed for held-out queries, then the other half, then twice as many until that brings
        nothing new. Each list is looked at once.
        """
        few = allowed is not None and np.count_nonzero(allowed) < len(self) // 2
        effort = self._widened(self.efforts[int(few)], max(1.0, k / 10))
        nothing = [(np.zeros(0, np.float32), np.zeros(0, np.int64))] * len(queries)
        if not few:
            return self._looked_at(queries, effort, k, nothing, allowed)
        effort = replace(effort, candidates=max(4 * effort.candidates, FILTERED_CANDIDATES))
        steps = [0, -(-effort.lists // 2)]
        while steps[-1] < self.codes.lists:
            steps.append(min(2 * steps[-1], self.codes.lists))
        answers, unsettled = nothing, list(range(len(queries)))
        for before, upto in pairwise(steps):
            some = [answers[query] for query in unsettled]
            stepped = replace(effort, lists=upto)
            found = self._looked_at(queries[unsettled], stepped, k, some, allowed, before)
            for query, answer in zip(unsettled, found, strict=True):
                answers[query] = answer
            new = zip(unsettled, some, found, strict=True)
            unsettled = [q for q, old, now in new if not np.array_equal(old[1], now[1])]
            if not unsettled:
                break
        return answers

    def _widened(self, effort: Effort, times: float) -> Effort:
        lists = min(self.codes.lists, int(np.ceil(effort.lists * times)))
        return replace(effort, lists=lists, candidates=int(np.ceil(effort.candidates * times)))

    def _looked_at(
        self,
        queries: Float[np.ndarray, "Q D"],
        effort: Effort,
        k: int,
        answers: list[Answer],
        allowed: Bool[np.ndarray, " N"] | None = None,
        before: int = 0,
    ) -> list[Answer]:
        """Return the neighbours of each query among those known and the best rows by their codes.

        Args:
            before: lists that were looked at already.
        """
        looked = effort.lists, effort.candidates
        if before:
            searched = self.codes.search(queries, *looked, allowed, before)
        else:
            searched = self.codes.search_near(queries, *looked, effort.slack, k, allowed)
        found = []
        for query, scores, rows, answer in zip(queries, *searched, answers, strict=True):
            count = np.count_nonzero(rows >= 0)
            if len(answer[0]) + count < k:  # the lists that were looked at hold too few
                exact = exact_search(self.source, query[None], k, allowed)
                found.append((exact[0][0], exact[1][0]))
            else:
                limits = scores[:count] + effort.margin
                found.append(self._read(query, rows[:count], limits, k, answer))
        return found

    def _read(
        self,
        query: Float[np.ndarray, " D"],
        rows: Int[np.ndarray, " C"],
        limits: Float[np.ndarray, " C"],
        k: int,
        answer: Answer,
    ) -> Answer:
        """Read rows, best first, until none that follows can be among the `k` nearest."""
        start, size = 0, max(FIRST_READ, 2 * k)
        while start < len(rows):
            end = start + size
            if len(answer[0]) == k:
                end = min(end, int(np.searchsorted(-limits, -answer[0][-1])))
            if end <= start:
                break
            part = np.sort(rows[start:end])
            if len(answer[0]):
                part = part[~np.isin(part, answer[1])]
            scores = self.source.units(part) @ query
            both = np.concatenate([answer[0], scores]), np.concatenate([answer[1], part])
            answer, start, size = best(*both, k), end, 16 * size
        return answer

    def grow(self, source: Source) -> bool:
        """Add the rows that `source` has more; say whether the index still keeps its promise.

        The held-out queries look at the new rows too, and recall is measured again.
        """
        if len(source) > GROWTH * self.built_rows:
            return False
        took_in(self.codes, self.held_out, source, len(self))
        self.source = source
        self.efforts = reported(self.codes, self.held_out, self.efforts)
        if self.recall < PROMISE:
            self.efforts = chosen(self.codes, self.held_out)
        return self.recall >= PROMISE


def chosen(codes: Codes, held_out: tuple[HeldOut, HeldOut]) -> tuple[Effort, Effort]:
    """Choose the effort of searches among all rows, and of filtered ones."""
    every, seventh = (both.split()[0] for both in held_out)
    efforts = narrowed(codes, every, choose(codes, every)), choose(codes, seventh)
    return reported(codes, held_out, efforts)


def reported(
    codes: Codes, held_out: tuple[HeldOut, HeldOut], efforts: tuple[Effort, Effort]
) -> tuple[Effort, Effort]:
    """Give each effort the recall of queries by which nothing was chosen."""
    every, seventh = (both.split()[1] for both in held_out)
    return measured(codes, every, efforts[0]), measured(codes, seventh, efforts[1])


def lowest(efforts: tuple[Effort, Effort]) -> float:
    """Return the recall of the kind of query with the lowest, filtered or not."""
    return min(effort.lowest for effort in efforts)


def build(source: Source, seed: int = 0) -> ApproximateIndex:
    """Build an index of all rows, and measure it; `recall` says whether it may be used.

    If the queries that measure find too little, all choose once more, and others measure.
    """
    random = np.random.default_rng(seed)
    held_out = drawn(source, random)
    codes = Codes.trained(source, random)
    took_in(codes, held_out, source, 0)
    efforts = chosen(codes, held_out)
    if lowest(efforts) < PROMISE:
        own = held_out[0].own
        others = drawn(source, random, own[own >= 0])
        for first, units in parts(source, 0, ADDED_AT_ONCE):
            look(others, first, units)
        held_out = held_out[0].joined(others[0]), held_out[1].joined(others[1])
        efforts = chosen(codes, held_out)
    return ApproximateIndex(source, codes, held_out, efforts, len(source))


def drawn(
    source: Source, random: np.random.Generator, but: Int[np.ndarray, " R"] | None = None
) -> tuple[HeldOut, HeldOut]:
    """Draw queries, to be asked of all rows and of every seventh; rows in `but` are none."""
    held_out = HeldOut.of(source, random, CHOOSING, MEASURING, but)
    return held_out, replace(held_out, step=FILTER_STEP)


def took_in(codes: Codes, held_out: tuple[HeldOut, HeldOut], source: Source, start: int) -> None:
    """Add the rows from `start` on to the codes, and show them to the held-out queries."""
    for first, units in parts(source, start, ADDED_AT_ONCE):
        codes.add(units)
        look(held_out, first, units)


def look(held_out: tuple[HeldOut, HeldOut], first: int, units: Float[np.ndarray, "P D"]) -> None:
    """Show the rows from `first` on to the held-out queries."""
    scores = held_out[0].queries @ units.T
    for queries in held_out:
        queries.look(first, scores)
