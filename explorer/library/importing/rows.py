"""Imported vectors as rows of a library: what they are known by, and which are there already."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from os import fsdecode
from typing import Any

import numpy as np

from explorer.errors import LibraryError, QueryError
from explorer.images import name_of
from explorer.library.contents import Contents
from explorer.library.importing.parts import Part, Record, chunks
from explorer.library.manifest import SourceRecord
from explorer.library.segments import NO_IMAGE, OWN_COLUMNS, Key, Row
from explorer.library.sources.columns import as_name, clean
from explorer.library.sources.tables import file_column
from explorer.library.store import Store
from explorer.library.writer import writing_to
from explorer.points import Side

SEGMENT_BYTES = 32_000_000  # of float32 vectors; what a power cut may cost
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Naming:
    """Which columns name the images and the captions.

    Args:
        images: the folder that relative names start from; None: the folder of the table.
        side: on the text side, files name no image of the vector.
    """

    path_column: str | None
    caption_column: str | None
    images: bytes | None
    side: Side

    def check(self, part: Part, record: Record) -> None:
        """Refuse columns that are not there.

        Raises:
            QueryError: the columns that there are.
        """
        for column in (self.path_column, self.caption_column):
            if column is not None and column not in record:
                known = ", ".join(name_of(str(name)) for name in record) or "none"
                raise QueryError(
                    f"{part.name} has no column {column!r} beside its vectors; its columns are "
                    f"{known}. Name one of them, or a table with --table."
                )

    def image(self, record: Record, folder: bytes) -> tuple[bytes | None, str | None]:
        """Return the absolute name of the image's file, and its address; None where unknown."""
        column = self.path_column or file_column([record])
        value = record.get(column) if column and self.side == "image" else None
        address = record.get("url")
        if isinstance(value, str) and _ADDRESS.match(value):
            value, address = None, value
        address = address if isinstance(address, str) and address else None
        if not isinstance(value, str | bytes) or not value or b"\0" in as_name(value):
            return None, address
        return os.path.normpath(os.path.join(self.images or folder, as_name(value))), address

    def caption(self, record: Record) -> str | None:
        """Return the caption of a record, if it has one."""
        value = record.get(self.caption_column or "caption")
        return value if isinstance(value, str) and value else None

    def row(self, part: Part, index: int, vector: np.ndarray, record: Record) -> Row:
        """Return a vector as it is stored."""
        path, address = self.image(record, part.folder)
        sha256, source = hashlib.sha256(vector.data).hexdigest(), fsdecode(part.source)
        columns = self._columns(record, has_file=path is not None)
        if path is not None:
            size, changed = _status(path)
            return Row(path, b"", _shown(fsdecode(path)), sha256, 0, 0, size, changed, source, -1,
                       columns, vector)  # fmt: skip
        member = os.path.basename(part.path) + b"[%d]" % index
        item = address or fsdecode(os.path.join(os.path.dirname(part.path), member))
        return Row(part.path, member, _shown(item), sha256, 0, 0, 0, 0, source, NO_IMAGE,
                   columns, vector)  # fmt: skip

    def _columns(self, record: Record, has_file: bool) -> dict[str, Any]:
        """Return the user's columns, without the file's name, and the caption under `caption`."""
        without = (self.path_column or file_column([record])) if has_file else None
        columns = clean(record, without=without)
        if self.caption_column and (caption := self.caption(record)):
            columns.pop(self.caption_column, None)
            columns = {"caption": caption, **{k: v for k, v in columns.items() if k != "caption"}}
        return columns


def _shown(text: str) -> str:
    return text if text.isprintable() and text.isascii() else name_of(text)


def _status(path: bytes) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return status.st_size, status.st_mtime_ns


class _Known:
    """The living rows of a library, by what they are known by."""

    def __init__(self, contents: Contents) -> None:
        table = contents.table
        self._table, self._numbers = table, contents.numbers
        paths, members = (table.column(name).to_pylist() for name in ("path", "member"))
        alive = np.flatnonzero(contents.live).tolist()
        self.index: dict[Key, int] = {(paths[i], members[i]): i for i in alive}
        self.seen: set[Key] = set()

    def sort_out(self, rows: Sequence[Row]) -> tuple[list[Row], list[int], Counter[str]]:
        """Return the rows to write, the numbers of rows that they replace, and counts."""
        counts: Counter[str] = Counter()
        indices = [self.index.get((row.path, row.member)) for row in rows]
        there = [i for i in indices if i is not None]
        stored = dict(zip(there, self._table.take(there).to_pylist(), strict=True)) if there else {}
        fresh, retired = [], []
        for row, index in zip(rows, indices, strict=True):
            if row.offset != NO_IMAGE:
                if (row.path, row.member) in self.seen:
                    counts["repeated"] += 1
                    continue
                self.seen.add((row.path, row.member))
            if index is not None and _is_same(stored[index], row):
                counts["unchanged"] += 1
                continue
            if index is not None:
                retired.append(int(self._numbers[index]))
            fresh.append(row)
            counts["added"] += 1
        return fresh, retired, counts


def _is_same(stored: Record, row: Row) -> bool:
    """Whether nothing is to be written: the same import, or an image that was indexed."""
    if stored["source"] != row.source:
        return True
    own = {name: stored.pop(name) for name in OWN_COLUMNS}
    columns = {name: value for name, value in stored.items() if value is not None}
    given = {name: str(value) for name, value in row.columns.items()}
    same = own["sha256"] == row.sha256 and own["item"] == row.item
    return same and {name: str(value) for name, value in columns.items()} == given


def run(
    store: Store,
    parts: Sequence[Part],
    counts: Sequence[int],
    naming: Naming,
    records: Sequence[SourceRecord],
    side: Side,
) -> Generator[tuple[int, int, Counter[str]]]:
    """Write what is not there yet; yield vectors dealt with, on disk, and counts of outcomes."""
    with writing_to(store):
        if store.manifest.side != side:
            raise LibraryError(
                f"The library {store.folder} holds points of the {store.manifest.side} side, and "
                f"these are of the {side} side: a library holds one. Use another library."
            )
        with closing(_steps(store, parts, counts, naming, records)) as steps:
            yield from steps


def _steps(
    store: Store,
    parts: Sequence[Part],
    counts: Sequence[int],
    naming: Naming,
    records: Sequence[SourceRecord],
) -> Generator[tuple[int, int, Counter[str]]]:
    known, totals, done, committed = _Known(store.contents), Counter[str](), 0, 0
    waiting: list[Row] = []
    retired: list[int] = []
    most = max(1, SEGMENT_BYTES // (4 * store.manifest.space.dimension))
    for part, count in zip(parts, counts, strict=True):
        first = 0
        for vectors, given in chunks(part, count, columns=True):
            rows = [
                naming.row(part, first + i, vector, record)
                for i, (vector, record) in enumerate(zip(vectors, given, strict=True))
            ]
            fresh, replaced, outcome = known.sort_out(rows)
            first, done = first + len(rows), done + len(rows)
            waiting, retired, totals = waiting + fresh, retired + replaced, totals + outcome
            if len(waiting) >= most:
                store.commit(waiting, retired=retired, sources=records)
                waiting, retired, committed = [], [], done
            yield done, committed, totals
    if waiting or retired or not set(records).issubset(store.manifest.sources):
        store.commit(waiting, retired=retired, sources=records)
    yield done, done, totals
