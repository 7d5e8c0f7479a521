"""Beside: a table whose rows belong to vectors in the same order; Parquet is read in batches."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from os import PathLike, fsdecode
from typing import TYPE_CHECKING, Any

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.images.remote import is_remote
from explorer.library.sources.columns import as_records
from explorer.library.sources.tables import read_records

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 8192


@dataclass(frozen=True)
class Beside:
    """A table of `count` rows.

    Args:
        folder: that relative names in it start from.
        records: yields its rows from one on, as dicts.
    """

    name: str
    folder: bytes
    count: int
    records: Callable[[int], Iterator[dict[str, Any]]]


def beside(table: "str | PathLike[str] | bytes | pd.DataFrame") -> Beside:
    """Open a table, one row for each vector.

    Raises:
        QueryError: it cannot be read, or is of another kind.
    """
    if not isinstance(table, str | bytes | PathLike):
        rows = as_records(table)
        return Beside("the table", os.getcwdb(), len(rows), lambda start: iter(rows[start:]))
    if not isinstance(table, bytes) and is_remote(os.fspath(table)):
        raise QueryError(f"{name_of(table)} is an address: fetch the table first, then import it.")
    file = os.path.abspath(os.fsencode(table))
    name, folder = name_of(fsdecode(os.path.basename(file))), os.path.dirname(file)
    if not os.path.isfile(file):
        raise QueryError(f"There is no table {name_of(fsdecode(file))}.")
    if file.lower().endswith(b".parquet"):
        return Beside(name, folder, _count(file), lambda start: _stream(file, start))
    read = read_records(file)
    return Beside(name, folder, len(read), lambda start: iter(read[start:]))


def _count(file: bytes) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(fsdecode(file)) as opened:
            return int(opened.metadata.num_rows)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(file, error) from None


def _stream(file: bytes, start: int) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(fsdecode(file)) as opened:
            left = start
            for batch in opened.iter_batches(batch_size=BATCH_ROWS):
                if left >= batch.num_rows:
                    left -= batch.num_rows
                    continue
                yield from islice(batch.to_pylist(), left, None)
                left = 0
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: bytes, error: Exception) -> QueryError:
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return QueryError(f"The table {name_of(fsdecode(file))} cannot be read: {reason}.")
