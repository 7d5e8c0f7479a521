"""Read the user's columns (captions, styles and the like) from a table beside the images."""

import csv
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.library.segments import OWN_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]

FILE_COLUMNS = ("file", "path", "filename", "file_name", "filepath", "image", "image_path")
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


def read_records(file: bytes) -> list[Record]:
    """Read a CSV, TSV, Parquet or JSON-lines table, one dict a row.

    Raises:
        QueryError: it cannot be read, or is of another kind.
    """
    name = name_of(os.fsdecode(file))
    suffix = os.path.splitext(os.fsdecode(file))[1].lower()
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".parquet": _read_parquet}
    readers[".jsonl"] = _read_jsonl
    if suffix not in readers:
        raise QueryError(f"{name} is not a table; pass one of {', '.join(TABLE_SUFFIXES)}.")
    try:
        return readers[suffix](file)
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors are ValueErrors too
        raise QueryError(f"The table {name} cannot be read: {error}") from None


def _read_csv(file: bytes) -> list[Record]:
    delimiter = "\t" if file.lower().endswith(b".tsv") else ","
    # Other systems' file names may not be UTF-8; surrogates bring their bytes back unchanged.
    with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as handle:
        records = list(csv.DictReader(handle, delimiter=delimiter))
    for record in records:
        record.pop(None, None)  # cells beyond the header
    if records:
        for column in [c for c in records[0] if c not in FILE_COLUMNS]:
            _type_column(records, column)
    return records


def _type_column(records: list[Record], column: str) -> None:
    """Convert a text column whose values are all plain numbers; "007" and "1e10" stay text."""
    values = [record[column] or None for record in records]
    for kind, pattern in ((int, _INTEGER), (float, _DECIMAL)):
        if all(value is None or pattern.fullmatch(value) for value in values):
            values = [None if value is None else kind(value) for value in values]
            break
    for record, value in zip(records, values, strict=True):
        record[column] = value


def _read_jsonl(file: bytes) -> list[Record]:
    records = []
    with open(file, encoding="utf-8", errors="surrogateescape") as handle:
        for number, line in enumerate(handle, start=1):
            if line.strip():
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise ValueError(f"line {number}: {error}") from None
                if not isinstance(record, dict):
                    raise ValueError(f"line {number} is not a JSON object")
                records.append(record)
    return records


def _read_parquet(file: bytes) -> list[Record]:
    from pyarrow import parquet

    with open(file, "rb") as handle:
        records: list[Record] = parquet.read_table(handle).to_pylist()
    return records


def as_records(table: "pd.DataFrame") -> list[Record]:
    """Convert a data frame into one dict a row."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def file_column(records: Sequence[Record]) -> str | None:
    """Find the column that names the images, or None."""
    names = list(records[0]) if records else []
    return next((name for name in FILE_COLUMNS if name in names), None)


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
        return _text(value) or None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict | list):
        return _text(json.dumps(value, ensure_ascii=False, default=str))
    text = str(value)
    return None if text in ("NaT", "<NA>") else text


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


class Join:
    """Find the row of a table that belongs to an image.

    A row names it absolutely or relative to the table's own folder, relative to the source that
    the image is in, or, where the row gives no folder, by the file's name alone. Where several
    rows name one image, the first counts.
    """

    def __init__(self, records: Iterable[Record], column: str, folder: bytes | None) -> None:
        self._absolute: dict[bytes, Record] = {}
        self._relative: dict[bytes, Record] = {}
        self.matched = 0
        for record in records:
            given = record.get(column)
            if not given:
                continue
            name = os.path.normpath(as_name(given))
            if folder is not None or os.path.isabs(name):
                absolute = os.path.normpath(os.path.join(folder or b"", name))
                self._absolute.setdefault(absolute, record)
            self._relative.setdefault(name, record)
        self._column = column

    def find(self, path: bytes, relative: bytes, member: bytes) -> Record:
        """Return the columns of an image, or an empty dict."""
        record = None if member else self._absolute.get(path)
        record = record or self._relative.get(relative)
        record = record or self._relative.get(os.path.basename(relative))
        if record is None:
            return {}
        self.matched += 1
        return clean(record, without=self._column)


def join_table(table: "str | os.PathLike[str] | pd.DataFrame") -> Join:
    """Read the table that a user passes beside the images.

    Raises:
        QueryError: it cannot be read, or no column of it names files.
    """
    if isinstance(table, str | os.PathLike):
        file = os.path.abspath(os.fsencode(table))
        records, folder, name = (read_records(file), os.path.dirname(file), os.fspath(table))
    else:
        records, folder, name = as_records(table), None, "given"
    column = file_column(records)
    if column is None:
        found = ", ".join(map(str, records[0])) if records else "none: it is empty"
        raise QueryError(
            f"The table {name} has no column that names the images: it needs one of "
            f"{', '.join(FILE_COLUMNS)}; its columns are {found}."
        )
    return Join(records, column, folder)
