"""Read the user's columns (captions, styles and the like) from a table beside the images."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from explorer.errors import QueryError
from explorer.images.remote import absolute, is_remote, joined
from explorer.library.captions import is_blank
from explorer.library.segments import OWN_COLUMNS
from explorer.library.sources.tables import (
    FILE_COLUMNS,
    Record,
    columns_seen,
    file_column,
    read_records,
)

if TYPE_CHECKING:
    import pandas as pd

MAX_CELL = 4000  # characters


def as_records(table: "pd.DataFrame") -> list[Record]:
    """Convert a data frame into one dict a row."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def as_name(value: Any) -> bytes:
    """Encode a table's value as a file name."""
    if isinstance(value, bytes):
        return value
    try:
        return os.fsencode(str(value))
    except UnicodeEncodeError:  # half a surrogate pair, from JSON; no file has that name
        return str(value).encode("utf-8", "backslashreplace")


def clean(record: Mapping[str, Any], without: str | None = None) -> Record:
    """Return a user's values as they are stored: plain types, no empty cells, no reserved names."""
    cleaned = {}
    for name, value in record.items():
        if name == without or name is None:
            continue
        value = _plain(value)
        if value is not None:
            name = _text(str(name)).strip() or "unnamed"
            cleaned[f"given_{name}" if name in OWN_COLUMNS else name] = value
    return cleaned


def _plain(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a numpy scalar
        value = value.item()
    if isinstance(value, str):
        return None if is_blank(value) else _text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        short = len(value) <= MAX_CELL
        return value.decode("utf-8", "backslashreplace") if short else f"{len(value):,} bytes"
    if isinstance(value, dict | list):
        return _text(json.dumps(value, ensure_ascii=False, default=str))
    text = str(value)
    return None if text in ("NaT", "<NA>") else text


def _text(value: str) -> str:
    """Return text that can be stored, cut where it is longer than any caption."""
    if len(value) > MAX_CELL:
        value = value[: MAX_CELL - 1] + "…"
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


class Join:
    """Find the row of a table that belongs to an image.

    A row names it absolutely or relative to the table's own folder, relative to the source that
    the image is in, or, where it names no image exactly, by the file's name alone. Where several
    rows name one image, the first counts.
    """

    def __init__(self, records: Iterable[Record], column: str, folder: bytes | None) -> None:
        self._absolute: dict[bytes, Record] = {}
        self._relative: dict[bytes, Record] = {}
        self._exact: set[int] = set()
        self.matched = 0
        for record in records:
            given = record.get(column)
            if is_blank(given) or not given:
                continue
            given = given.strip() if isinstance(given, str) else given
            name = as_name(given)
            if folder is not None or os.path.isabs(name) or is_remote(name):
                self._absolute.setdefault(joined(folder or b"", name), record)
            name = name if is_remote(name) else os.path.normpath(name)
            self._relative.setdefault(name, record)
        self._column = column

    def claim(self, path: bytes, relative: bytes, member: bytes) -> None:
        """Note the row that names this image exactly: it names no other of the same base name."""
        record = self._exactly(path, relative, member)
        if record is not None:
            self._exact.add(id(record))

    def find(self, path: bytes, relative: bytes, member: bytes) -> Record:
        """Return the columns of an image, or an empty dict."""
        record = self._exactly(path, relative, member)
        if record is None:
            record = self._relative.get(os.path.basename(relative))
            if record is None or id(record) in self._exact:
                return {}
        self.matched += 1
        return clean(record, without=self._column)

    def _exactly(self, path: bytes, relative: bytes, member: bytes) -> Record | None:
        record = None if member else self._absolute.get(path)
        return record or self._relative.get(relative)


def join_table(table: "str | os.PathLike[str] | pd.DataFrame") -> Join:
    """Read the table that a user passes beside the images.

    Raises:
        QueryError: it cannot be read, or no column of it names files.
    """
    if isinstance(table, str | os.PathLike):
        file = absolute(os.fsencode(table))
        records, folder, name = (read_records(file), os.path.dirname(file), os.fspath(table))
    else:
        records, folder, name = as_records(table), None, "given"
    column = file_column(records)
    if column is None:
        raise QueryError(
            f"The table {name} has no column that names the images: it needs one of "
            f"{', '.join(FILE_COLUMNS)}; its columns are {columns_seen(records)}."
        )
    return Join(records, column, folder)
