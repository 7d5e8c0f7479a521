"""Codes of rows in memory, in lists around centres, whose scores say which rows to read.

IVF with product quantization, two numbers in four bits, compared by fast scan (FAISS). Vectors are
first brought into the dimensions that hold nearly all of their lengths, which halves what is
compared, and rotated there, so that no few of them hold most, which four bits would blur.
"""

from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.index.checks import faiss_module
from explorer.index.rotation import Rotation
from explorer.index.stored import Source

ROWS_PER_LIST = 1000
MOST_LISTS = 2048  # beyond, to find the list of a row takes several times as long as to code it
SAMPLE_PER_LIST = 50  # rows of which centres are learnt
CODED_ROWS = 4096  # of which the codes are learnt
ALL = 2.0  # a slack, as no two cosines differ by more
FIRST_SHARE = 1 / 32  # of the lists, that are looked at before one is left out

Found = tuple[np.ndarray, np.ndarray]
"""Scores of candidates by their codes, Q × C, best first, and their rows."""


class Codes:
    """The codes of N rows.

    Args:
        index: FAISS's IndexIVFPQFastScan, of rotated vectors.
    """

    def __init__(self, index: Any, rotation: Rotation) -> None:
        self.faiss, self.rotation = index, rotation
        self._list_of: np.ndarray | None = None
        self._masked: tuple[np.ndarray, np.ndarray, Any] | None = None

    @classmethod
    def trained(cls, source: Source, random: np.random.Generator) -> Self:
        """Learn centres and codes of a sample of the rows; no row is added."""
        faiss = faiss_module()
        size = len(source)
        lists = min(2 ** max(2, round(np.log2(size / ROWS_PER_LIST))), MOST_LISTS)
        count = min(size, max(SAMPLE_PER_LIST * lists, CODED_ROWS))
        sample = source.units(np.sort(random.choice(size, count, replace=False)))
        rotation = Rotation.of(sample, random)
        sample = rotation(sample)
        dimension = sample.shape[1]
        centres = faiss.IndexFlatIP(dimension)
        numbers = dimension if dimension % 2 else dimension // 2  # of four bits each
        index = faiss.IndexIVFPQFastScan(
            centres, dimension, lists, numbers, 4, faiss.METRIC_INNER_PRODUCT
        )
        clustering = faiss.Clustering(dimension, lists)
        clustering.niter, clustering.spherical = 6, True
        clustering.max_points_per_centroid = SAMPLE_PER_LIST
        clustering.train(sample, centres)
        index.pq.cp.niter = 8
        index.train(sample[random.permutation(len(sample))[:CODED_ROWS]])
        centres.this.disown()
        index.own_fields = True
        return cls(index, rotation)

    def __len__(self) -> int:
        return int(self.faiss.ntotal)

    @property
    def dimension(self) -> int:
        """Return D."""
        return self.rotation.dimension

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return int(self.faiss.nlist)

    @property
    def numbers(self) -> int:
        """How many numbers of a row are coded, D or fewer."""
        return int(self.faiss.d)

    @property
    def kind(self) -> str:
        """Its name in FAISS's notation."""
        reduced = f"OPQ{self.faiss.pq.M}_{self.faiss.d}," * (self.faiss.d < self.dimension)
        return f"{reduced}IVF{self.lists},PQ{self.faiss.pq.M}x4fs"

    def add(self, units: Float[np.ndarray, "K D"]) -> None:
        """Add rows."""
        self.faiss.add(self.rotation(units))
        self._list_of = self._masked = None

    def search(
        self,
        queries: Float[np.ndarray, "Q D"],
        lists: int,
        candidates: int,
        allowed: Bool[np.ndarray, " N"] | None = None,
        before: int = 0,
    ) -> Found:
        """Return the best scores by codes in this many lists, and rows; -1 where there are none.

        Args:
            before: of allowed rows, leave out the lists that a search of this many looks at.
        """
        queries = self.rotation(queries)
        near, chosen = self._nearest(queries, lists, allowed, before)
        return self._scan(queries, near, chosen, candidates, allowed)

    def search_near(
        self,
        queries: Float[np.ndarray, "Q D"],
        lists: int,
        candidates: int,
        slack: float,
        k: int,
        allowed: Bool[np.ndarray, " N"] | None = None,
    ) -> Found:
        """Search as `search`, but leave out the lists that lie too far for one of the `k` best.

        The nearest lists give the score of the k-th row by its code; a list is left out if its
        centre's score is below that by more than the slack.
        """
        if slack >= ALL:
            return self.search(queries, lists, candidates, allowed)
        queries = self.rotation(queries)
        near, chosen = self._nearest(queries, lists, allowed)
        first = self.first_lists
        found = self._scan(queries, near[:, :first], chosen[:, :first], candidates, allowed)
        near, chosen = near[:, first:], chosen[:, first:]
        reached = near >= found[0][:, min(k, candidates) - 1, None] - slack
        chosen = np.where(reached, chosen, -1)
        width = int((chosen >= 0).sum(axis=1).max(initial=0))  # they are sorted by their scores
        if not width:
            return found
        more = self._scan(queries, near[:, :width], chosen[:, :width], candidates, allowed)
        scores, rows = (np.concatenate(both, axis=1) for both in zip(found, more, strict=True))
        order = np.argsort(-scores, axis=1, kind="stable")[:, :candidates]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)

    @property
    def first_lists(self) -> int:
        """How many lists `search_near` looks at in any case."""
        return max(1, round(FIRST_SHARE * self.lists))

    def _nearest(
        self,
        queries: Float[np.ndarray, "Q E"],
        lists: int,
        allowed: Bool[np.ndarray, " N"] | None,
        before: int = 0,
    ) -> tuple[Float[np.ndarray, "Q P"], Int[np.ndarray, "Q P"]]:
        """Return the scores and numbers of the lists to look at for rotated queries, best first."""
        if allowed is None:
            return self._centres().search(queries, lists)
        return self._lists_with(queries, self._of_mask(allowed)[0], lists, before)

    def _scan(
        self,
        queries: Float[np.ndarray, "Q E"],
        near: Float[np.ndarray, "Q P"],
        chosen: Int[np.ndarray, "Q P"],
        candidates: int,
        allowed: Bool[np.ndarray, " N"] | None,
    ) -> Found:
        """Compare the codes of the chosen lists; -1 stands for no list."""
        faiss = faiss_module()
        given = faiss.IVFSearchParameters(nprobe=chosen.shape[1])
        if allowed is not None:
            given = faiss.IVFSearchParameters(sel=self._of_mask(allowed)[1], nprobe=chosen.shape[1])
        near, chosen = np.ascontiguousarray(near), np.ascontiguousarray(chosen)
        scores = np.empty((len(queries), candidates), np.float32)
        rows = np.empty((len(queries), candidates), np.int64)
        arrays = [faiss.swig_ptr(array) for array in (chosen, near, scores, rows)]
        self.faiss.search_preassigned_c(
            len(queries), faiss.swig_ptr(queries), candidates, *arrays, False, given
        )
        return scores, rows

    def _lists_with(
        self,
        queries: Float[np.ndarray, "Q D"],
        counts: Int[np.ndarray, " L"],
        lists: int,
        before: int = 0,
    ) -> tuple[Float[np.ndarray, "Q P"], Int[np.ndarray, "Q P"]]:
        """Choose the nearest lists that hold allowed rows: `lists`, and more where they hold few.

        A list without an allowed row is passed over, so that a filter whose rows lie far from the
        query finds them. Those that `before` lists are chosen to are left out.
        """
        near, order = self._centres().search(queries, self.lists)
        turns = _turns(counts[order])
        order = np.where((turns <= lists) & (turns > before), order, -1)
        first = np.argsort(order < 0, axis=1, kind="stable")  # those that are used, in their order
        width = max(1, int((order >= 0).sum(axis=1).max()))
        near, order = (np.take_along_axis(a, first, axis=1)[:, :width] for a in (near, order))
        return np.ascontiguousarray(near), np.ascontiguousarray(order)

    def list_of(self, rows: Int[np.ndarray, "*S"]) -> Int[np.ndarray, "*S"]:
        """Return the list that each row lies in; -1 for row -1."""
        if self._list_of is None:
            self._list_of = self._lists_of_rows()
        return self._list_of[rows]

    def turns(
        self,
        queries: Float[np.ndarray, "Q D"],
        rows: Int[np.ndarray, "Q C"],
        allowed: Bool[np.ndarray, " N"] | None = None,
    ) -> Int[np.ndarray, "Q C"]:
        """Return how many lists `search` must be given to look at each row's; L + 1 for row -1."""
        order = self._centres().search(self.rotation(queries), self.lists)[1]
        turns = np.full((len(queries), self.lists + 1), self.lists + 1)  # the last is list -1
        counts = np.ones(self.lists, int) if allowed is None else self._of_mask(allowed)[0]
        np.put_along_axis(turns, order, _turns(counts[order]), axis=1)
        return np.take_along_axis(turns, self.list_of(rows), axis=1)

    def nearest_centres(
        self, queries: Float[np.ndarray, "Q D"], lists: int
    ) -> Float[np.ndarray, "Q P"]:
        """Return the scores of the queries with their nearest centres, best first."""
        return np.asarray(self._centres().search(self.rotation(queries), lists)[0])

    def centre_scores(
        self, queries: Float[np.ndarray, "Q D"], found: Int[np.ndarray, "Q C"]
    ) -> Float[np.ndarray, "Q C"]:
        """Return the scores of the queries with the centres of the lists that were found."""
        near, order = self._centres().search(self.rotation(queries), self.lists)
        scores = np.full((len(queries), self.lists + 1), -2, np.float32)  # the last is list -1
        np.put_along_axis(scores, order, near, axis=1)
        return np.take_along_axis(scores, found, axis=1)

    def _centres(self) -> Any:
        return faiss_module().downcast_index(self.faiss.quantizer)

    def _of_mask(self, allowed: Bool[np.ndarray, " N"]) -> tuple[Int[np.ndarray, " L"], Any]:
        """Count the allowed rows of every list, and pack them; once for a mask that stays."""
        if self._masked is not None and self._masked[0] is allowed:
            return self._masked[1], self._masked[2]
        counts = np.bincount(self.list_of(np.flatnonzero(allowed)), minlength=self.lists)
        selector = faiss_module().IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        self._masked = None if allowed.flags.writeable else (allowed, counts, selector)
        return counts, selector

    def _lists_of_rows(self) -> Int[np.ndarray, " N"]:
        faiss, inverted = faiss_module(), self.faiss.invlists
        found = np.full(len(self) + 1, -1, np.int32)  # the last stands for row -1
        for place in range(self.lists):
            if size := inverted.list_size(place):
                found[faiss.rev_swig_ptr(inverted.get_ids(place), size)] = place
        return found


def _turns(held: Int[np.ndarray, "Q L"]) -> Int[np.ndarray, "Q L"]:
    """Return how many lists must be asked for until each is looked at; L + 1 if it holds no row.

    Lists without a row are passed over; where lists hold few rows, more are looked at, until they
    hold the share of all rows that as many lists hold on average.

    Args:
        held: allowed rows of each query's lists, nearest list first.
    """
    lists, seen = held.shape[1], np.cumsum(held, axis=1) - held
    place, every = np.cumsum(held > 0, axis=1) - 1, np.maximum(held.sum(axis=1, keepdims=True), 1)
    return np.where(held > 0, np.minimum(place, seen * lists // every) + 1, lists + 1)
