"""ApproximateIndex: few of N rows are read for a query, chosen by codes in memory.

The rows lie in lists around centres (IVF), as codes of two numbers in four bits (PQ, fast scan:
D / 4 bytes a row). The best rows by their codes are read from where they are stored, and their
exact cosines decide. How many lists and rows are looked at is chosen by recall@10, measured on
queries that are held out. Source: Jégou, Douze, Schmid 2011; André, Kermarrec, Le Scouarnec 2015.

Measured beside it on 10⁵ × 768, text-like queries: one-bit RaBitQ finds 0.84 to 0.89 of the
neighbours where these codes find 0.99, and scalar codes of a byte take four times as long.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.index.checks import available, check_vectors, faiss_module
from explorer.index.held_out import HeldOut
from explorer.index.stored import Source, best, exact_search, parts

PROMISE = 0.99  # recall@10 below which an index is not used
AIM = 0.995  # recall@10 that is chosen for, since it is measured on few queries
FEW_ROWS = 2048  # allowed rows that are read rather than looked for
MAX_K = 100  # neighbours; for more, all rows are read
GROWTH = 1.25  # times the rows at building, beyond which it is built again
ROWS_PER_LIST = 1000
ADDED_AT_ONCE = 16_384  # rows
FILTER_STEP = 7  # every seventh row is allowed in the measure of filtered searches
LIST_SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
CANDIDATES = (64, 128, 256, 512, 1024, 2048, 4096)
QUERIES_AT_ONCE = 256  # FAISS does not react to Ctrl-C within one call


@dataclass(frozen=True)
class Effort:
    """How much is looked at: lists, and rows whose exact cosine is computed; and what it finds."""

    lists: int
    candidates: int
    recall: dict[str, float]  # recall@10 by kind of held-out query

    @property
    def lowest(self) -> float:
        """The recall of the kind of query with the lowest."""
        return min(self.recall.values())


class ApproximateIndex:
    """Approximate search of stored unit vectors; the scores it returns are exact.

    Build one with `build`. It is like `Index`: `search`, `scores`, `len`.
    """

    def __init__(
        self,
        source: Source,
        codes: Any,
        held_out: tuple[HeldOut, HeldOut],
        efforts: tuple[Effort, Effort],
        built_rows: int,
    ) -> None:
        self.source, self.codes, self.held_out, self.efforts = source, codes, held_out, efforts
        self.built_rows = built_rows
        self._list_of: np.ndarray | None = None
        self._masked: tuple[np.ndarray, np.ndarray, Any] | None = None

    def __len__(self) -> int:
        return int(self.codes.ntotal)

    @property
    def dimension(self) -> int:
        """Return D."""
        return int(self.codes.d)

    @property
    def kind(self) -> str:
        """Its name in FAISS's notation."""
        return f"IVF{self.codes.nlist},PQ{self.codes.pq.M}x4fs"

    @property
    def recall(self) -> float:
        """The lowest recall@10 of any kind of held-out query, filtered or not."""
        return min(effort.lowest for effort in self.efforts)

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
        found = [
            self._ranked(query, rows, k, allowed)
            for start in range(0, len(queries), QUERIES_AT_ONCE)
            for query, rows in self._candidates(
                queries[start : start + QUERIES_AT_ONCE], k, allowed
            )
        ]
        return np.stack([scores for scores, _ in found]), np.stack([rows for _, rows in found])

    def scores(self, query: Float[np.ndarray, " D"]) -> Float[np.ndarray, " N"]:
        """Return the score of one query with every row; all vectors are read."""
        check_vectors(query[None], self.dimension, "The queries")
        found = [units @ query.astype(np.float32) for _, units in parts(self.source)]
        return np.concatenate([np.zeros(0, np.float32), *found])

    def _ranked(
        self,
        query: Float[np.ndarray, " D"],
        rows: Int[np.ndarray, " C"],
        k: int,
        allowed: Bool[np.ndarray, " N"] | None,
    ) -> tuple[Float[np.ndarray, " K"], Int[np.ndarray, " K"]]:
        rows = np.sort(rows[rows >= 0])
        if len(rows) < k:  # the lists that were looked at hold too few
            scores, rows = exact_search(self.source, query[None], k, allowed)
            return scores[0], rows[0]
        return best(self.source.units(rows) @ query, rows, k)

    def _candidates(
        self, queries: Float[np.ndarray, "Q D"], k: int, allowed: Bool[np.ndarray, " N"] | None
    ) -> Any:
        """Return each query with the rows whose exact cosines decide."""
        plain, filtered = self.efforts
        few = allowed is not None and np.count_nonzero(allowed) < len(self) // 2
        effort, more = filtered if few else plain, max(1.0, k / 10)
        lists = min(self.codes.nlist, int(np.ceil(effort.lists * more**0.5)))
        rows = self.coded(queries, lists, int(np.ceil(effort.candidates * more)), allowed)
        return zip(queries, rows, strict=True)

    def coded(
        self,
        queries: Float[np.ndarray, "Q D"],
        lists: int,
        candidates: int,
        allowed: Bool[np.ndarray, " N"] | None = None,
    ) -> Int[np.ndarray, "Q C"]:
        """Return the best rows by their codes, in this many lists; -1 where there are no more."""
        faiss = faiss_module()
        if allowed is None:
            given = faiss.IVFSearchParameters(nprobe=lists)
            return self.codes.search(queries, candidates, params=given)[1]
        counts, selector = self._of_mask(allowed)
        near, chosen = self._lists_with(queries, counts, lists)
        given = faiss.IVFSearchParameters(sel=selector, nprobe=chosen.shape[1])
        scores = np.empty((len(queries), candidates), np.float32)
        rows = np.empty((len(queries), candidates), np.int64)
        arrays = [faiss.swig_ptr(array) for array in (chosen, near, scores, rows)]
        self.codes.search_preassigned_c(
            len(queries), faiss.swig_ptr(queries), candidates, *arrays, False, given
        )
        return rows

    def _lists_with(
        self, queries: Float[np.ndarray, "Q D"], counts: Int[np.ndarray, " L"], lists: int
    ) -> tuple[Float[np.ndarray, "Q P"], Int[np.ndarray, "Q P"]]:
        """Choose the nearest lists that hold allowed rows: `lists`, and more where they hold few.

        A list without an allowed row is passed over, so that a filter whose rows lie far from the
        query finds them.
        """
        near, order = (
            faiss_module().downcast_index(self.codes.quantizer).search(queries, self.codes.nlist)
        )
        held = counts[order]
        seen = np.cumsum(held, axis=1) - held
        place = np.cumsum(held > 0, axis=1) - 1
        enough = (seen >= counts.sum() * lists / self.codes.nlist) & (place >= lists)
        order = np.where((held > 0) & ~enough, order, -1)
        first = np.argsort(order < 0, axis=1, kind="stable")  # those that are used, in their order
        width = max(1, int((order >= 0).sum(axis=1).max()))
        near, order = (np.take_along_axis(a, first, axis=1)[:, :width] for a in (near, order))
        return np.ascontiguousarray(near), np.ascontiguousarray(order)

    def _of_mask(self, allowed: Bool[np.ndarray, " N"]) -> tuple[Int[np.ndarray, " L"], Any]:
        """Count the allowed rows of every list, and pack them; once for a mask that stays."""
        if self._masked is not None and self._masked[0] is allowed:
            return self._masked[1], self._masked[2]
        if self._list_of is None:
            self._list_of = self._lists_of_rows()
        counts = np.bincount(self._list_of[allowed], minlength=self.codes.nlist)
        selector = faiss_module().IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        self._masked = None if allowed.flags.writeable else (allowed, counts, selector)
        return counts, selector

    def _lists_of_rows(self) -> Int[np.ndarray, " N"]:
        faiss, inverted = faiss_module(), self.codes.invlists
        found = np.empty(len(self), np.int32)
        for place in range(self.codes.nlist):
            if size := inverted.list_size(place):
                found[faiss.rev_swig_ptr(inverted.get_ids(place), size)] = place
        return found

    def grow(self, source: Source) -> bool:
        """Add the rows that `source` has more; say whether the index still keeps its promise.

        The held-out queries look at the new rows too, and recall is measured again.
        """
        if len(source) > GROWTH * self.built_rows:
            return False
        took_in(self.codes, self.held_out, source, len(self))
        self.source, self._list_of, self._masked = source, None, None
        self.efforts = self.measured()
        return self.recall >= PROMISE

    def measured(self) -> tuple[Effort, Effort]:
        """Choose the least effort that finds enough: of searches among all rows, and filtered."""
        mask = np.arange(len(self)) % FILTER_STEP == 0
        return self._chosen(self.held_out[0], None), self._chosen(self.held_out[1], mask)

    def _chosen(self, held_out: HeldOut, allowed: Bool[np.ndarray, " N"] | None) -> Effort:
        tried, most = [], self.codes.nlist
        for lists in dict.fromkeys(max(1, round(share * most)) for share in LIST_SHARES):
            found = self.coded(held_out.queries, lists, CANDIDATES[-1], allowed)
            places = held_out.places(found)  # a row that is its own query takes one at most
            tried += [Effort(lists, c, held_out.recall(places, c)) for c in CANDIDATES]
        good = [effort for effort in tried if effort.lowest >= AIM]
        if good:
            return min(good, key=self._cost)
        return max(tried, key=lambda effort: (effort.lowest, -self._cost(effort)))

    def _cost(self, effort: Effort) -> float:
        """Estimate microseconds: 0.035 a thousand numbers that are scanned, 2.5 a row read."""
        scanned = len(self) * effort.lists / self.codes.nlist * self.dimension
        return 3.5e-5 * scanned + 2.5 * effort.candidates


def build(source: Source, seed: int = 0) -> ApproximateIndex:
    """Build an index of all rows, and measure it; `recall` says whether it may be used."""
    random = np.random.default_rng(seed)
    held_out = HeldOut.of(source, random)
    filtered = replace(held_out, step=FILTER_STEP)
    codes = _trained(source, random)
    took_in(codes, (held_out, filtered), source, 0)
    index = ApproximateIndex(source, codes, (held_out, filtered), (), len(source))  # type: ignore
    index.efforts = index.measured()
    return index


def _trained(source: Source, random: np.random.Generator) -> Any:
    """Train centres and codes on a sample of the rows."""
    faiss = faiss_module()
    size, dimension = len(source), source.dimension
    lists = 2 ** max(2, round(np.log2(size / ROWS_PER_LIST)))
    sample = source.units(np.sort(random.choice(size, min(size, 50 * lists), replace=False)))
    centres = faiss.IndexFlatIP(dimension)
    codes = faiss.IndexIVFPQFastScan(
        centres, dimension, lists, max(1, dimension // 2), 4, faiss.METRIC_INNER_PRODUCT
    )
    clustering = faiss.Clustering(dimension, lists)
    clustering.niter, clustering.max_points_per_centroid, clustering.spherical = 6, 50, True
    clustering.train(sample, centres)
    codes.pq.cp.niter = 8
    codes.train(sample[random.permutation(len(sample))[:4096]])
    centres.this.disown()
    codes.own_fields = True
    return codes


def took_in(codes: Any, held_out: tuple[HeldOut, HeldOut], source: Source, start: int) -> None:
    """Add the rows from `start` on to the codes, and show them to the held-out queries."""
    for first, units in parts(source, start, ADDED_AT_ONCE):
        codes.add(units)
        scores = held_out[0].queries @ units.T
        for queries in held_out:
            queries.look(first, scores)
