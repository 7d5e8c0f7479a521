"""Compacting: the living rows of many small segments become few large ones, in one version."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from explorer.errors import LibraryDamaged
from explorer.library.columns import KEYS, NUMBER, with_set_columns
from explorer.library.manifest import (
    COLUMNS,
    ERRORS,
    KEPT_MANIFESTS,
    ROWS,
    VECTORS,
    DType,
    SegmentRecord,
)
from explorer.library.segments import failure_table, remedy, write_files
from explorer.library.store import Store, explain_failure
from explorer.library.writer import writing_to
from explorer.notes import counted

MAX_ROWS = 65_536  # of a segment: what one damaged file may cost, and what is held in memory


@dataclass(frozen=True)
class Compacted:
    """What `Library.compact` did.

    Args:
        segments: before and after.
        bytes: of the version, before and after.
        dropped: rows that had been replaced, removed or forgotten.
        waiting: bytes of earlier versions, which are deleted when they are no longer kept.
    """

    segments: tuple[int, int]
    bytes: tuple[int, int]
    dropped: int
    waiting: int

    def __str__(self) -> str:
        if not self.waiting:
            return f"nothing to compact: {counted(self.segments[1], 'segment')}, no row to drop"
        before, after = self.bytes
        saved = f"{before - after:,} bytes saved" if before >= after else "nothing saved"
        return (
            f"{counted(self.segments[0], 'segment')} became {self.segments[1]:,}; "
            f"{counted(self.dropped, 'row')} dropped that had been replaced or removed; "
            f"{after:,} bytes instead of {before:,}: {saved}\n"
            f"  {self.waiting:,} bytes of earlier versions stay until "
            f"{KEPT_MANIFESTS - 1} more versions are written, for programs that are reading them"
        )


def compact(store: Store) -> Compacted:
    """Write few segments in place of many; see `Library.compact`."""
    with writing_to(store), explain_failure(store.folder, store.manifest.rows):
        before, stored = store.manifest, len(store.contents.numbers)
        kept = _settled(store)
        if _is_compact(store, kept):
            size = _bytes(before.segments)
            return Compacted((len(before.segments),) * 2, (size, size), 0, 0)
        _check(store, before.segments[len(kept) :])
        segments = (*kept, *_written(store, kept))
        dropped = stored - len(store.contents.living)
        next_row = before.next_row + sum(s.rows for s in segments[len(kept) :])
        store.publish(replace(before, segments=segments, next_row=next_row))
        store.refresh()
        ids = {segment.id for segment in segments}
        return Compacted(
            (len(before.segments), len(segments)),
            (_bytes(before.segments), _bytes(segments)),
            dropped,
            _bytes(s for s in before.segments if s.id not in ids),
        )


def _bytes(segments: Any) -> int:
    return sum(file.size for segment in segments for file in segment.files.values())


def _settled(store: Store) -> tuple[SegmentRecord, ...]:
    """The first segments that are large, hold rows only, and have lost none."""
    contents, place = store.contents, 0
    for index, segment in enumerate(store.manifest.segments):
        live = contents.live[place : place + segment.rows]
        if (
            segment.rows < MAX_ROWS // 2
            or segment.files.keys() != {VECTORS, ROWS}
            or not live.all()
        ):
            return store.manifest.segments[:index]
        place += segment.rows
    return store.manifest.segments


def _is_compact(store: Store, kept: tuple[SegmentRecord, ...]) -> bool:
    """Whether there is nothing to drop, and not one segment less would be written."""
    contents, rest = store.contents, store.manifest.segments[len(kept) :]
    if not contents.live.all():
        return False
    parts = len(list(_parts(store, _first(kept))))
    alone = bool(contents.failures) and not parts
    return len(rest) <= parts + alone + bool(contents.set_columns)


def _first(kept: tuple[SegmentRecord, ...]) -> int:
    return sum(segment.rows for segment in kept)


def _check(store: Store, segments: tuple[SegmentRecord, ...]) -> None:
    """Refuse to copy what is damaged: the copy would have a checksum that fits.

    Raises:
        LibraryDamaged: what is damaged, or why an older version than the newest is used.
    """
    if store.warnings:
        raise LibraryDamaged(store.warnings[0])
    for segment in segments:
        if problems := list(store.checked.problems(segment, read_data=True).values()):
            raise LibraryDamaged(f"{problems[0]} {remedy(store.folder)}")


def _parts(store: Store, first: int) -> Iterator[tuple[Int[np.ndarray, " P"], DType]]:
    """Yield the places of the living rows from `first` on, a segment at a time.

    A segment has one type of vector, so that none changes.
    """
    kinds = np.concatenate(
        [np.zeros(0, "<U7"), *(np.repeat(s.dtype, s.rows) for s in store.manifest.segments)]
    )
    places = np.flatnonzero(store.contents.live)
    places = places[places >= first]
    changes = np.flatnonzero(kinds[places][1:] != kinds[places][:-1]) + 1
    for run in np.split(places, changes):
        for start in range(0, len(run), MAX_ROWS):
            part = run[start : start + MAX_ROWS]
            yield part, "float16" if kinds[part[0]] == "float16" else "float32"


def _written(store: Store, kept: tuple[SegmentRecord, ...]) -> Iterator[SegmentRecord]:
    """Write the rows, failures and set columns that are not in segments which stay."""
    contents, folder, dtype = store.contents, store.folder, store.manifest.dtype
    number, failures = store.manifest.next_row, list(contents.failures.values())
    parts = list(_parts(store, _first(kept)))
    for index, (places, kind) in enumerate(parts):
        vectors = contents.vectors(contents.numbers[places]).astype(kind, copy=False)
        files: dict[str, Any] = {VECTORS: vectors, ROWS: contents.table.take(places)}
        if failures and index == len(parts) - 1:
            files[ERRORS] = failure_table(failures)
        yield write_files(folder, number, len(places), kind, files)
        number += len(places)
    if failures and not parts:
        yield write_files(folder, number, 0, dtype, {ERRORS: failure_table(failures)})
    if contents.set_columns:
        numbers = np.arange(store.manifest.next_row, number)
        columns = {COLUMNS: _set_columns(store, kept, numbers)}
        yield write_files(folder, number, 0, dtype, columns)


def _set_columns(store: Store, kept: tuple[SegmentRecord, ...], numbers: np.ndarray) -> Any:
    """Return the columns that were set, for all living rows under their new numbers."""
    import pyarrow as pa

    contents = store.contents
    tables = contents.set_columns
    names = dict.fromkeys(n for t in tables for n in t.column_names if n not in (NUMBER, *KEYS))
    rows = with_set_columns(contents.table, contents).filter(contents.live)
    staying = contents.numbers[: _first(kept)]
    arrays = {NUMBER: pa.array(np.concatenate([staying, numbers]))}
    return pa.table(arrays | {name: rows.column(name) for name in (*KEYS, *names)})
