"""Tables as people write them: CSV, TSV, Parquet, JSON lines, and the captions of COCO."""

import codecs
import csv
import io
import json
import os
import re
from collections.abc import Sequence
from typing import Any

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.images.remote import open_file

Record = dict[str, Any]

FILE_COLUMNS = ("file", "path", "filename", "file_name", "filepath", "image", "image_path")
URL_COLUMNS = ("url", "image_url")
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".json")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


def read_records(file: bytes, notes: list[str] | None = None) -> list[Record]:
    """Read a CSV, TSV, Parquet, JSON-lines or COCO JSON table, one dict a row.

    Args:
        notes: gets a sentence where something was guessed.

    Raises:
        QueryError: it cannot be read, or is of another kind.
    """
    name = name_of(os.fsdecode(file))
    suffix = os.path.splitext(os.fsdecode(file))[1].lower()
    if suffix not in TABLE_SUFFIXES:
        raise QueryError(f"{name} is not a table; pass one of {', '.join(TABLE_SUFFIXES)}.")
    try:
        if suffix == ".parquet":
            return _read_parquet(file)
        with open_file(file) as handle:
            text, legacy = _decode(handle.read())
        if suffix == ".json":
            return _read_json(text)
        records = _read_jsonl(text) if suffix == ".jsonl" else _read_csv(text, suffix)
    except (OSError, ValueError, RecursionError, csv.Error) as error:  # pyarrow's are ValueErrors
        raise QueryError(f"The table {name} cannot be read: {error}") from None
    if legacy:
        _from_legacy(records, os.path.dirname(file))
        if notes is not None:
            notes.append(f"{name} is not UTF-8; it was read as Latin-1 (Windows-1252).")
    return records


def _decode(content: bytes) -> tuple[str, bool]:
    """Decode a table's text; say whether bytes remain that are not UTF-8, as surrogates."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16"), False
    try:
        return content.decode("utf-8-sig"), False
    except UnicodeDecodeError:  # surrogates bring file names' bytes back unchanged
        return content.decode("utf-8-sig", "surrogateescape"), True


def _from_legacy(records: Sequence[Record], folder: bytes) -> None:
    """Read what is not UTF-8 as Windows-1252, but for names of files that exist by their bytes."""
    column = file_column(records)
    for record in records:
        for name, value in record.items():
            if not isinstance(value, str) or value.isascii():
                continue
            raw = value.encode("utf-8", "surrogateescape")
            if name != column or not os.path.lexists(os.path.join(folder, raw)):
                record[name] = raw.decode("cp1252", "replace")


def _read_csv(text: str, suffix: str) -> list[Record]:
    header = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", header)
    likeliest = max(",;\t|", key=unquoted.count)
    delimiter = "\t" if suffix == ".tsv" and "\t" in header else likeliest
    records = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    for record in records:
        record.pop(None, None)  # cells beyond the header
    records = [{str(name).strip(): value for name, value in r.items()} for r in records]
    if records:
        for column in [c for c in records[0] if c.lower() not in FILE_COLUMNS]:
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


def _read_jsonl(text: str) -> list[Record]:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from None
            if not isinstance(record, dict):
                raise ValueError(f"line {number} is not a JSON object")
            records.append(record)
    return records


def _read_json(text: str) -> list[Record]:
    """Read a list of objects, or COCO's captions: images, and annotations that refer to them."""
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if isinstance(content, list) and all(isinstance(record, dict) for record in content):
        return content
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise ValueError("it is neither a list of objects nor COCO's captions")
    captions: dict[Any, list[str]] = {}
    for note in content.get("annotations") or []:
        if isinstance(note, dict) and isinstance(note.get("caption"), str):
            captions.setdefault(note.get("image_id"), []).append(note["caption"].strip())
    records = []
    for image in content["images"]:
        if isinstance(image, dict) and image.get("file_name"):
            own = captions.get(image.get("id"), [])
            more = {"caption": own[0], "captions": own} if own else {}
            records.append({"file_name": image["file_name"], **more})
    return records


def _read_parquet(file: bytes) -> list[Record]:
    from pyarrow import parquet

    with open_file(file) as handle:
        records: list[Record] = parquet.read_table(handle).to_pylist()
    return records


def file_column(records: Sequence[Record], names: Sequence[str] = FILE_COLUMNS) -> str | None:
    """Find the column that names the images, whatever its case and spaces, or None."""
    found = {
        str(name).strip().lower(): name for name in reversed(list(records[0] if records else []))
    }
    return next((found[name] for name in names if name in found), None)


def columns_seen(records: Sequence[Record]) -> str:
    """Return the names of a table's columns, for a message."""
    if not records:
        return "none: it is empty"
    return ", ".join(name_of(str(name)[:60]) for name in list(records[0])[:30])
