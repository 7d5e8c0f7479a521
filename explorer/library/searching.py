"""Searcher: the searching half of a library."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import numpy as np

from explorer.errors import QueryError
from explorer.index import Index
from explorer.library.filters import Filters
from explorer.library.hits import Hits
from explorer.library.reader import Reader, open_row
from explorer.library.relevance import NEUTRAL_ROWS, PART_ROWS, RELEVANCE_VERSION, Relevance
from explorer.library.search_index import (
    Kind,
    LivingIndex,
    find_index,
    is_current,
    told_index,
)
from explorer.library.store import summary
from explorer.notes import collecting
from explorer.points import Points, Side
from explorer.refusals import explain_failure

MinScore = float | Literal["auto"] | None


class Searcher(Reader):
    """The searching half of `Library`."""

    def search(
        self,
        query: Points,
        k: int = 12,
        *,
        where: Mapping[str, Any] | None = None,
        exclude: Sequence[int] | None = None,
        min_score: MinScore = None,
        index: Kind = "auto",
    ) -> Hits:
        """Find the `k` images nearest to one point; see `Library.search`."""
        if len(query) != 1:
            raise QueryError(f"search takes one point, not {len(query)}; use search_many.")
        return self.search_many(
            query, k, where=where, exclude=exclude, min_score=min_score, index=index
        )[0]

    def search_many(
        self,
        points: Points,
        k: int = 12,
        *,
        where: Mapping[str, Any] | None = None,
        exclude: Sequence[int] | None = None,
        min_score: MinScore = None,
        index: Kind = "auto",
    ) -> list[Hits]:
        """Find the `k` nearest images of every point; see `search`."""
        self.check_space(points.space)
        allowed = None
        if where or exclude is not None:
            excluded = None if exclude is None else self._checked(exclude)
            filters = self._derive("filters", lambda: Filters(self._table))
            allowed = filters.matching(where or {}, excluded)
        searched = self._index(index)
        if min_score is None:
            scores, rows = searched.search(points.unit, k, allowed)
            return [self._hits(s, r) for s, r in zip(scores, rows, strict=True)]
        if k < 1:
            raise QueryError(f"k is {k}, but must be 1 or more.")
        found = []
        for unit in points.unit:
            scores = searched.scores(unit)
            enough = self._enough(scores, points.side, min_score)
            rows = np.flatnonzero(enough if allowed is None else enough & allowed)
            best = rows[np.argsort(-scores[rows], kind="stable")[:k]]
            found.append(self._hits(scores[best], best, len(rows)))
        return found

    def _enough(self, scores: np.ndarray, side: Side, min_score: MinScore) -> np.ndarray:
        """Say which rows reach the lowest score."""
        if not isinstance(min_score, str):
            return np.asarray(scores >= np.float32(min_score or 0))
        if min_score != "auto":
            raise QueryError(f"The lowest score is a number or auto, not {min_score!r}.")
        return self._relevance(side).matching(scores, side) if len(scores) else scores > 1

    def _relevance(self, side: Side) -> Relevance:
        return self._derive(f"relevance-{side}", lambda: self._measure(side))

    def _measure(self, side: Side) -> Relevance:
        key = f"relevance-{side}-{RELEVANCE_VERSION}-{self._store.contents.points_key}"
        file = self.cache_folder / key
        if (found := Relevance.load(file, key)) is not None:
            return found
        parts = self._index().parts(PART_ROWS)
        with collecting():  # what a neutral phrase lacks in the model is not the user's concern
            measured = Relevance.fit(parts, self._neutral(side))
        with suppress(OSError):  # a cache: what the disk refuses is measured again
            for old in self.cache_folder.glob(f"relevance-{side}-*"):
                old.unlink(missing_ok=True)
            measured.save(file, key)
        return measured

    def _neutral(self, side: Side) -> np.ndarray:
        """Queries that stand for any: on the image side rows, spread over the library."""
        del side
        chosen = np.linspace(0, len(self) - 1, min(NEUTRAL_ROWS, len(self))).astype(int)
        return self.points(chosen).unit

    def _hits(self, scores: np.ndarray, rows: np.ndarray, count: int | None = None) -> Hits:
        few, whole, points = self._few_rows, self._table_later(), self._points_later(rows)
        images = partial(open_row, self._store.contents)  # of this version, as all the rest
        return Hits(scores, rows, few, whole, points, images, count)

    def save_index(self) -> None:
        """Write the search index to the cache folder.

        Building an exact one is about as fast; an approximate one is written when it is built.
        """
        index = self._index()
        if isinstance(index, Index):
            key = self._store.contents.points_key
            with explain_failure(self.cache_folder):
                for file in self.cache_folder.glob("index-v*"):
                    file.unlink(missing_ok=True)
            index.save(self.cache_folder / f"index-v3-{key}", key)

    def update_index(self) -> bool:
        """Build the approximate index, or add new rows to it, so that no search has to.

        Say whether there was anything to do: a small library needs none, and fewer than 1,000 new
        rows are added when it is searched. It is written whole or not at all.
        """
        contents, dimension = self._store.contents, self.space.dimension
        if is_current(self.cache_folder, contents, dimension):
            return False
        self._index()
        return True

    def _index(self, kind: Kind = "auto") -> Index | LivingIndex:
        contents, dimension = self._store.contents, self.space.dimension

        def find() -> Index | LivingIndex:
            return find_index(self.cache_folder, contents, dimension, kind)

        return self._derive(f"index-{kind}", find)

    def info(self) -> dict[str, Any]:
        """Summarise the library in plain values, ready for JSON."""
        told = told_index(self.cache_folder, self._store.contents, self.space.dimension)
        return summary(self._store, self.columns) | told
