"""Contents: rows, retired rows and failures of all segments of one version."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.library.checked_files import CheckedFiles
from explorer.library.manifest import (
    COLUMNS,
    ERRORS,
    RETIRED,
    ROWS,
    VECTORS,
    Manifest,
    SegmentRecord,
)
from explorer.library.segments import (
    OWN_COLUMNS,
    Failure,
    Key,
    read_retired,
    read_schema,
    read_table,
)
from explorer.library.stored_vectors import StoredVectors


class Contents:
    """Everything that one version of a library holds, read on first use.

    A row keeps its *number* for ever (`numbers`); users count the living rows from 0 (`living`).
    """

    def __init__(self, folder: FilePath, manifest: Manifest, checked: CheckedFiles) -> None:
        self._folder = folder
        self._manifest = manifest
        self._checked = checked

    @property
    def segments(self) -> tuple[SegmentRecord, ...]:
        """The segments of this version, oldest first."""
        return self._manifest.segments

    @cached_property
    def numbers(self) -> Int[np.ndarray, " N"]:
        """The numbers of all stored rows, retired ones too, ascending."""
        ranges = [np.arange(s.first_row, s.first_row + s.rows) for s in self._manifest.segments]
        return np.concatenate([np.zeros(0, np.int64), *ranges])

    @cached_property
    def live(self) -> Bool[np.ndarray, " N"]:
        """Which of the stored rows are not retired."""
        segments = [s for s in self._manifest.segments if RETIRED in s.files]
        retired = [read_retired(self._folder, segment) for segment in segments]
        return ~np.isin(self.numbers, np.concatenate([np.zeros(0, np.int64), *retired]))

    @cached_property
    def living(self) -> Int[np.ndarray, " L"]:
        """The numbers of the rows that are not retired."""
        return self.numbers[self.live]

    @cached_property
    def points_key(self) -> str:
        """Change whenever the points of the living rows do, whatever becomes of names."""
        stored = [s.files[VECTORS].sha256 for s in self._manifest.segments if s.rows]
        return hashlib.sha256(repr(stored).encode() + self.live.tobytes()).hexdigest()[:32]

    @cached_property
    def table(self) -> Any:
        """All stored rows as one Arrow table; its i-th row has number `numbers[i]`."""
        import pyarrow as pa

        segments = [s for s in self._manifest.segments if s.rows]
        tables = [read_table(self._folder, segment, ROWS) for segment in segments]
        if not tables:
            return pa.table({name: pa.nulls(0) for name in OWN_COLUMNS})
        return pa.concat_tables(_of_one_type(tables), promote_options="permissive")

    @cached_property
    def schema(self) -> Any:
        """The columns of `table` and their types, found without reading its rows."""
        import pyarrow as pa

        segments = [s for s in self._manifest.segments if s.rows]
        empty = [empty_table(read_schema(self._folder, segment, ROWS)) for segment in segments]
        if not empty:
            return self.table.schema
        return pa.concat_tables(_of_one_type(empty), promote_options="permissive").schema

    def segment_rows(self, places: Int[np.ndarray, " K"]) -> list[tuple[Any, int]]:
        """Return the table of the segment that holds each of these stored rows, and its place."""
        segments, starts = self._with_rows
        numbers = self.numbers[places]
        owners = np.searchsorted(np.array(starts), numbers, side="right") - 1
        found = []
        for owner, number in zip(owners.tolist(), numbers.tolist(), strict=True):
            segment = segments[owner]
            if segment.id not in self._tables:
                self._tables[segment.id] = read_table(self._folder, segment, ROWS)
            found.append((self._tables[segment.id], number - segment.first_row))
        return found

    @cached_property
    def _tables(self) -> dict[str, Any]:
        return {}

    @cached_property
    def set_columns(self) -> list[Any]:
        """The columns that were set, as Arrow tables; later ones come over earlier ones."""
        segments = [s for s in self._manifest.segments if COLUMNS in s.files]
        return [read_table(self._folder, segment, COLUMNS) for segment in segments]

    @cached_property
    def failures(self) -> dict[Key, Failure]:
        """Items that could not be read and have not been read since."""
        failures: dict[Key, Failure] = {}
        for segment in self._manifest.segments:
            if ERRORS in segment.files:
                for entry in read_table(self._folder, segment, ERRORS).to_pylist():
                    failure = Failure(**entry)
                    failures[failure.path, failure.member] = failure
        return {key: failure for key, failure in failures.items() if failure.reason}

    @cached_property
    def _stored(self) -> dict[str, StoredVectors]:
        return {}

    def _vectors_of(self, segment: SegmentRecord) -> StoredVectors:
        if segment.id not in self._stored:
            dimension = self._manifest.space.dimension
            stored = StoredVectors(self._folder, segment, dimension, self._checked)
            self._stored[segment.id] = stored
        return self._stored[segment.id]

    def vectors(self, numbers: Sequence[int] | np.ndarray) -> Float[np.ndarray, "K D"]:
        """Read the vectors of these row numbers, in this order, as a float32 copy.

        Raises:
            LibraryDamaged: they are not what was written.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        found = np.empty((len(numbers), self._manifest.space.dimension), np.float32)
        if not len(numbers):
            return found
        if len(numbers) > 1 and (numbers[1:] < numbers[:-1]).any():
            order = np.argsort(numbers, kind="stable")
            found[order] = self.vectors(numbers[order])
            return found
        segments, starts = self._with_rows
        bounds = np.searchsorted(numbers, [*starts[1:], np.iinfo(np.int64).max]).tolist()
        begin = 0
        for segment, end in zip(segments, bounds, strict=True):
            if begin < end:
                rows = numbers[begin:end] - segment.first_row
                self._vectors_of(segment).read(rows, found[begin:end])
            begin = end
        return found

    @cached_property
    def _with_rows(self) -> tuple[list[SegmentRecord], list[int]]:
        """The segments that have rows, and the number of the first row of each."""
        segments = [s for s in self._manifest.segments if s.rows]
        return segments, [s.first_row for s in segments]


@dataclass(frozen=True, eq=False)
class Vectors:
    """The raw vectors of the living rows, L × D; read from disk only where indexed.

    `vectors[5]`, `vectors[2:9]`, `vectors[[4, 1]]` are float32 arrays; `np.asarray` reads all.
    """

    contents: Contents
    dimension: int

    @property
    def shape(self) -> tuple[int, int]:
        """L, D."""
        return len(self.contents.living), self.dimension

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        numbers = self.contents.living[rows]
        vectors = self.contents.vectors(np.atleast_1d(numbers))
        return vectors[0] if np.ndim(numbers) == 0 else vectors

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


def empty_table(schema: Any) -> Any:
    """Return a table without rows; Arrow's own `empty_table` imports pandas."""
    import pyarrow as pa

    return pa.table([pa.nulls(0, field.type) for field in schema], schema=schema)


def _of_one_type(tables: list[Any]) -> list[Any]:
    """Cast to text the user's columns that are numbers in one segment and text in another."""
    import pyarrow as pa

    types: dict[str, set[Any]] = {}
    for table in tables:
        for column in table.schema:
            types.setdefault(column.name, set()).add(column.type)
    for name, found in types.items():
        known = [kind for kind in found if not pa.types.is_null(kind)]
        numeric = all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in known)
        if len(known) > 1 and not numeric:
            tables = [_as_text(table, name) for table in tables]
    return tables


def _as_text(table: Any, name: str) -> Any:
    import pyarrow as pa

    if name not in table.column_names:
        return table
    position = table.column_names.index(name)
    return table.set_column(position, name, table.column(name).cast(pa.string()))
