"""Few rows of a library's table, without a look at all the others, and without pandas.

Arrow imports pandas, half of the time of a search by words, to look at what numpy hands to it.
"""

import os
from os import fsdecode
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Int

from explorer.images import name_of
from explorer.library.contents import Contents, empty_table

if TYPE_CHECKING:
    import pandas as pd

FEW_ROWS = 200
HIDDEN = "offset"  # a column that is not shown


class RowSource(Protocol):
    """Living rows, of which few are asked for."""

    def cells(self, name: str, rows: Int[np.ndarray, " K"]) -> list[Any]:
        """Return the cells of one column in these rows."""

    def few(self, rows: Int[np.ndarray, " K"]) -> Any:
        """Return these rows as an Arrow table."""


class TableRows:
    """Rows of an Arrow table in memory."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def cells(self, name: str, rows: Int[np.ndarray, " K"]) -> list[Any]:
        """Return the cells of one column in these rows."""
        if len(rows) > FEW_ROWS:
            return list(self.few(rows).column(name).to_pylist())
        column = self._table.column(name)
        return [column[row].as_py() for row in rows.tolist()]

    def few(self, rows: Int[np.ndarray, " K"]) -> Any:
        """Return these rows; few of them by slices, since `take` looks at all chunks."""
        import pyarrow as pa

        if len(rows) > FEW_ROWS:
            return self._table.take(pa.array(rows, from_pandas=False))
        if not len(rows):
            return self._table.slice(0, 0)
        return pa.concat_tables([self._table.slice(row, 1) for row in rows.tolist()])


class SegmentRows:
    """Rows of a library of which only the segments that hold them are read."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._columns: dict[tuple[int, str], Any] = {}  # of the segments' tables, which stay
        self._places = None if contents.live.all() else np.flatnonzero(contents.live)

    def cells(self, name: str, rows: Int[np.ndarray, " K"]) -> list[Any]:
        """Return the cells of one column in these rows."""
        kind, columns, found = self._contents.schema.field(name).type, self._columns, []
        for table, row in self._where(rows):
            key = id(table), name
            if key not in columns:
                columns[key] = _column(table, name, kind)
            found.append(columns[key][row].as_py())
        return found

    def few(self, rows: Int[np.ndarray, " K"]) -> Any:
        """Return these rows, of the types that all segments together have."""
        import pyarrow as pa

        schema, parts = self._contents.schema, []
        for table, row in self._where(rows):
            one = table.slice(row, 1)
            cells = [_column(one, field.name, field.type) for field in schema]
            parts.append(pa.table(cells, schema=schema))
        return pa.concat_tables(parts) if parts else empty_table(schema)

    def _where(self, rows: Int[np.ndarray, " K"]) -> list[tuple[Any, int]]:
        """Return the table of each row's segment, and its place there."""
        places = rows if self._places is None else self._places[rows]
        return self._contents.segment_rows(places)


def _column(table: Any, name: str, kind: Any) -> Any:
    """Return a column as this type; nulls where the table has no such column."""
    import pyarrow as pa

    if name not in table.column_names:
        return pa.nulls(len(table), kind)
    column = table.column(name)
    return column if column.type == kind else column.cast(kind)  # a cast imports pyarrow.compute


def frame_of(few: Any, table: Any) -> "pd.DataFrame":
    """Return few rows of a table as pandas would hold them among all of its rows."""
    frame = few.to_pandas(integer_object_nulls=True, use_threads=False)  # threads cost ms
    for name in frame.columns:  # a column's type is that of all its rows
        kind = str(table.schema.field(name).type)
        if kind.startswith(("int", "uint", "bool")) and table.column(name).null_count:
            frame[name] = frame[name].astype(object)
    return frame


def labels_of(source: RowSource, rows: Int[np.ndarray, " K"]) -> tuple[str, ...]:
    """Return what the points of these rows are called: the names of their files."""
    paths, members = source.cells("path", rows), source.cells("member", rows)
    return tuple(_label(path, member) for path, member in zip(paths, members, strict=True))


def _label(path: bytes, member: bytes) -> str:
    is_part = member.startswith((b"@", b"#"))  # a frame, or a row of a table
    return name_of(fsdecode(os.path.basename(path + member if is_part else member or path)))
