"""Few rows of a library's Arrow table, without a look at all the others, and without pandas.

Arrow imports pandas, half of the time of a search by words, to look at what numpy hands to it.
"""

import os
from collections.abc import Sequence
from os import fsdecode
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from explorer.images import name_of

if TYPE_CHECKING:
    import pandas as pd

FEW_ROWS = 200


def rows_of(table: Any, rows: Int[np.ndarray, " K"]) -> Any:
    """Return rows of an Arrow table; few of them by slices, since `take` looks at all chunks."""
    import pyarrow as pa

    if len(rows) > FEW_ROWS:
        return table.take(pa.array(rows, from_pandas=False))
    if not len(rows):
        return table.slice(0, 0)
    return pa.concat_tables([table.slice(row, 1) for row in rows.tolist()])


def cells_of(table: Any, name: str, rows: Int[np.ndarray, " K"]) -> list[Any]:
    """Return the cells of one column in these rows."""
    column = table.column(name)
    if len(rows) > FEW_ROWS:
        return list(column.take(rows).to_pylist())
    return [column[row].as_py() for row in rows.tolist()]


def frame_of(few: Any, table: Any) -> "pd.DataFrame":
    """Return few rows of a table as pandas would hold them among all of its rows."""
    frame = few.to_pandas(integer_object_nulls=True, use_threads=False)  # threads cost ms
    for name in frame.columns:  # a column's type is that of all its rows
        kind = str(table.schema.field(name).type)
        if kind.startswith(("int", "uint", "bool")) and table.column(name).null_count:
            frame[name] = frame[name].astype(object)
    return frame


def labels_of(table: Any, rows: Int[np.ndarray, " K"]) -> tuple[str, ...]:
    """Return what the points of these rows are called: the names of their files."""
    names: Sequence[list[bytes]] = [cells_of(table, name, rows) for name in ("path", "member")]
    return tuple(_label(path, member) for path, member in zip(*names, strict=True))


def _label(path: bytes, member: bytes) -> str:
    is_part = member.startswith((b"@", b"#"))  # a frame, or a row of a table
    return name_of(fsdecode(os.path.basename(path + member if is_part else member or path)))
