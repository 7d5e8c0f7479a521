"""Hits of a published library, with the rows that were fetched."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from explorer.library.hits import Hits
from explorer.library.segments import user_array
from explorer.scale.entities import record_of
from explorer.scale.published_store import PublishedStore


class FetchedRows:
    """Rows that were fetched from a server; see `explorer.library.few_rows.RowSource`."""

    def __init__(
        self, rows: Int[np.ndarray, " K"], records: Sequence[Mapping[str, Any]], names: list[str]
    ) -> None:
        self._records = dict(zip(rows.tolist(), records, strict=True))
        self._names = names

    def cells(self, name: str, rows: Int[np.ndarray, " K"]) -> list[Any]:
        """Return the cells of one column in these rows."""
        return [self._records[row].get(name) for row in rows.tolist()]

    def few(self, rows: Int[np.ndarray, " K"]) -> Any:
        """Return these rows as an Arrow table."""
        import pyarrow as pa

        return pa.table({name: user_array(self.cells(name, rows)) for name in self._names})


class RowsLater:
    """Rows of one published version that are fetched when they are asked for."""

    def __init__(self, store: PublishedStore, names: list[str]) -> None:
        self._store, self._names = store, names

    def cells(self, name: str, rows: Int[np.ndarray, " K"]) -> list[Any]:
        """Return the cells of one column in these rows."""
        return self._fetched(rows).cells(name, rows)

    def few(self, rows: Int[np.ndarray, " K"]) -> Any:
        """Return these rows as an Arrow table."""
        return self._fetched(rows).few(rows)

    def _fetched(self, rows: Int[np.ndarray, " K"]) -> FetchedRows:
        found = self._store.by_row(rows.tolist(), ["record"])
        return FetchedRows(rows, [record_of(each["record"]) for each in found], self._names)


class PublishedHits(Hits):
    """Hits of which none is missing: a small image is there where the file is not."""

    @cached_property
    def missing(self) -> Bool[np.ndarray, " K"]:
        """No image is."""
        return np.zeros(len(self), dtype=bool)
