"""Columns that are set from outside: clusters, scores, tags; kept beside the stored rows.

One call writes one segment that holds `columns.parquet` alone: number, path, member and SHA-256 of
every row, and its values. A value goes with its row; if the image was read again, with its name;
if it was moved, with its content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from explorer.errors import QueryError
from explorer.library.contents import Contents
from explorer.library.manifest import COLUMNS, SegmentRecord
from explorer.library.reserved import RESERVED
from explorer.library.segments import OWN_COLUMNS, user_array, write_segment
from explorer.library.store import Store, explain_failure
from explorer.library.writer import writing_to

KEYS = ("path", "member", "sha256")
NUMBER = "number"


def set_columns(store: Store, values: Mapping[str, Sequence[Any] | np.ndarray | None]) -> None:
    """Write the next version with these columns; see `Library.set_columns`."""
    seen = store.contents
    stored = set(seen.table.column_names)
    own = {name for table in seen.set_columns for name in table.column_names}
    lists = {
        name: _checked(name, column, len(seen.living), stored) for name, column in values.items()
    }
    gone = [name for name, column in lists.items() if column is None and name not in own]
    if gone:
        raise QueryError(f"The library has no column {gone[0]!r} that was set, so none to remove.")
    table = _table(seen, {name: column for name, column in lists.items() if column is not None})
    with writing_to(store), explain_failure(store.folder, store.manifest.rows):
        _publish(store, set(lists), table)


def _checked(name: str, column: Any, rows: int, stored: set[str]) -> list[Any] | None:
    """Return the values as plain ones, None for those that are missing.

    Raises:
        QueryError: the name is taken, or there are more or fewer values than rows.
    """
    if not name or name.lower() in (*RESERVED, NUMBER):
        raise QueryError(f"A column cannot be called {name!r}: the library uses that name itself.")
    if name in stored:
        raise QueryError(
            f"The column {name!r} came with the images, from their table. Choose another name."
        )
    if column is None:
        return None
    values = [value.item() if isinstance(value, np.generic) else value for value in column]
    if len(values) != rows:
        raise QueryError(
            f"The column {name!r} has {len(values):,} values, but the library has {rows:,} rows: "
            "give one a row, in the order of library.rows, and None where there is none."
        )
    return [None if isinstance(v, float) and np.isnan(v) else v for v in values]


def _table(contents: Contents, lists: dict[str, list[Any]]) -> Any:
    """Return the values with what their rows are known by; None if there are no columns."""
    import pyarrow as pa

    if not lists:
        return None
    keys = contents.table.select(list(KEYS)).filter(contents.live)
    arrays = {NUMBER: pa.array(contents.living)} | {name: keys.column(name) for name in KEYS}
    return pa.table(arrays | {name: user_array(values) for name, values in lists.items()})


def _publish(store: Store, names: set[str], table: Any) -> None:
    """Write the version that has `table` in place of earlier values of these columns."""
    old = store.manifest

    def written(columns: Any) -> SegmentRecord:
        return write_segment(store.folder, old.next_row, old.dtype, [], [], [], columns)

    segments = []
    earlier = iter(store.contents.set_columns)
    for segment in old.segments:
        if COLUMNS not in segment.files:
            segments.append(segment)
            continue
        columns = next(earlier)
        rest = [name for name in columns.column_names if name not in names]
        if len(rest) == columns.num_columns:
            segments.append(segment)
        elif len(rest) > 1 + len(KEYS):
            segments.append(written(columns.select(rest)))
    if table is not None:
        segments.append(written(table))
    store.publish(replace(old, segments=tuple(segments)))


def column_names(contents: Contents) -> list[str]:
    """Return the names of the user's columns, as in `living_table`, without reading its rows."""
    were_set = (name for table in contents.set_columns for name in table.column_names)
    names = [*contents.schema.names, *(name for name in were_set if name != NUMBER)]
    return [name for name in dict.fromkeys(names) if name not in OWN_COLUMNS]


def living_table(contents: Contents) -> Any:
    """Return the living rows with all columns, as an Arrow table."""
    import pyarrow as pa

    table = with_set_columns(contents.table, contents)
    return table if contents.live.all() else table.filter(pa.array(contents.live))


def with_set_columns(table: Any, contents: Contents) -> Any:
    """Return the stored rows with the columns that were set; these come over stored ones."""
    for columns in contents.set_columns:
        places = _places(table, contents, columns)
        for name in columns.column_names:
            if name in (NUMBER, *KEYS):
                continue
            values = columns.column(name).take(places)
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, values)
            else:
                table = table.append_column(name, values)
    return table


def _places(table: Any, contents: Contents, columns: Any) -> Any:
    """Return for every stored row the place of its values in `columns`, null where it has none."""
    import pyarrow as pa

    numbers = columns.column(NUMBER).to_numpy()
    order = np.argsort(numbers)
    if not len(order):
        return pa.nulls(table.num_rows, pa.int64())
    at = np.searchsorted(numbers, contents.numbers, sorter=order).clip(max=len(order) - 1)
    places = order[at]
    now = [table.column(name).to_pylist() for name in KEYS]
    then = [columns.column(name).to_pylist() for name in KEYS]
    same = numbers[places] == contents.numbers
    found: list[int | None] = [
        int(place) if hit and now[2][row] == then[2][place] else None
        for row, (place, hit) in enumerate(zip(places, same, strict=True))
    ]
    lost = [row for row in np.flatnonzero(contents.live).tolist() if found[row] is None]
    if lost:
        names = dict(zip(zip(then[0], then[1], strict=True), range(len(numbers)), strict=True))
        alive = {(now[0][row], now[1][row]) for row in np.flatnonzero(contents.live)}
        moved = {then[2][place]: place for name, place in names.items() if name not in alive}
        for row in lost:
            found[row] = names.get((now[0][row], now[1][row]), moved.get(now[2][row]))
    return pa.array(found, pa.int64())
