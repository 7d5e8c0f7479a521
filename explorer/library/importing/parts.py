"""Part: one file of vectors with the columns of its rows, read a chunk at a time."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.library.importing.beside import Beside
from explorer.points import Space

Record = dict[str, Any]
Chunk = tuple[np.ndarray, list[Record] | None]

CHUNK_BYTES = 16_000_000  # of float32 vectors in memory at once


def chunk_rows(dimension: int) -> int:
    """Return how many vectors of this dimension are read at once."""
    return max(1, CHUNK_BYTES // (4 * dimension))


@dataclass(frozen=True)
class Part:
    """One file of vectors, N × D.

    Args:
        path: absolute, of the file; what its rows are known by.
        source: what the person named: the file, or the folder that it is in.
        dtype: of the numbers, as stored.
        read: yields float32 vectors, with their columns if it is called with True.
        beside: the table whose rows belong to the vectors, from row `start` on.
    """

    name: str
    path: bytes
    source: bytes
    dtype: str
    read: Callable[[bool], Iterator[Chunk]]
    beside: Beside | None = None
    start: int = 0

    @property
    def folder(self) -> bytes:
        """The folder that relative names of images start from."""
        return self.beside.folder if self.beside else os.path.dirname(self.path)

    def with_table(self, beside: Beside, start: int = 0) -> "Part":
        """Return the same vectors with the rows of this table."""
        return replace(self, beside=beside, start=start)


def chunks(part: Part, count: int, *, columns: bool) -> Iterator[tuple[np.ndarray, list[Record]]]:
    """Yield the vectors of a part, with a dict of columns each.

    Raises:
        QueryError: the file was changed while it was read.
    """
    table = part.beside.records(part.start) if columns and part.beside else None
    seen = 0
    for vectors, records in part.read(columns):
        seen += len(vectors)
        own = records or [{} for _ in range(len(vectors))]
        if table is not None:
            given = list(islice(table, len(vectors)))
            if len(given) < len(own):
                raise _changed(part)
            own = [{**a, **b} for a, b in zip(own, given, strict=True)]
        if seen > count:
            raise _changed(part)
        yield vectors, own
    if seen != count:
        raise _changed(part)


def _changed(part: Part) -> QueryError:
    return QueryError(f"{part.name} was changed while it was read. Run the same import again.")


def check_array(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], space: Space) -> None:
    """Refuse an array that cannot be N vectors of the space.

    Raises:
        QueryError: what it holds, and what would be right.
    """
    if dtype.hasobject:
        raise QueryError(
            f"{name} holds Python objects, which are never unpickled here. Write plain numbers: "
            'np.save(file, np.stack(vectors).astype("float32")).'
        )
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise QueryError(
            f"{name_of(name)} holds values of type {dtype}; vectors are float16, float32 or "
            "float64."
        )
    if len(shape) != 2 or min(shape) < 0:
        raise QueryError(
            f"{name} holds an array of shape {shape}; vectors are N × {space.dimension}, one a row."
        )
    if not shape[0]:
        raise QueryError(f"{name} holds no vectors: its shape is {shape}.")
    check_dimension(name, shape[1], space)


def check_dimension(name: str, dimension: int, space: Space) -> None:
    """Refuse vectors of another dimension.

    Raises:
        QueryError: both dimensions.
    """
    if dimension != space.dimension:
        raise QueryError(
            f"{name} holds vectors of {dimension:,} dimensions, but those of {space.name} have "
            f"{space.dimension:,}: they are of another model. Name theirs with --model, and a "
            "library of its own."
        )
