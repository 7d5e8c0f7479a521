"""Moving: files that lie elsewhere now keep their rows, under new names, in one version."""

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import fsdecode

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.images.remote import status_of
from explorer.library.manifest import COLUMNS, ERRORS, ROWS, SegmentRecord, SourceRecord
from explorer.library.presence import is_gone
from explorer.library.renaming import Renaming, absolute
from explorer.library.segments import NO_IMAGE, read_table, write_files, write_segment
from explorer.library.store import Store, explain_failure
from explorer.library.writer import writing_to

AnyName = str | bytes | os.PathLike[str]
_ANY_SIZE = -1  # of a tar, a video or a table, whose size is not stored


@dataclass(frozen=True)
class Moved:
    """What `Library.moved` did, or with `dry` would do.

    Args:
        old, new: the absolute names.
        files: the images, tars and videos of the library that lay in `old`.
        there: of them, how many lie in `new`.
        changed: of those, how many have another size there.
        staying: how many lie in `old` and not in `new`; they keep their names.
        rows: that have another name now.
        merged: rows that were left out, since `new` was indexed and has one of that name.
    """

    old: str
    new: str
    files: int
    there: int
    changed: int
    staying: int
    rows: int
    merged: int

    def __str__(self) -> str:
        odd = {
            "in neither place, and renamed all the same": self.files - self.there - self.staying,
            "of another size there, which the next index embeds again": self.changed,
            "still in the old place only, which keep their names": self.staying,
            "rows left out, since the new place was indexed and has one of that name": self.merged,
        }
        lines = [
            f"{self.there:,} of {self.files:,} files of {self.old} are in {self.new}: "
            f"{self.rows:,} rows get the new name, none is embedded again"
        ]
        return "\n".join(
            [*lines, *(f"  {what}: {count:,}" for what, count in odd.items() if count)]
        )


def moved(store: Store, old: AnyName, new: AnyName, dry: bool = False) -> Moved:
    """Rewrite the names of files that moved; see `Library.moved`."""
    if dry:
        return _Move(store, old, new).summary
    with writing_to(store), explain_failure(store.folder, store.manifest.rows):
        move = _Move(store, old, new)
        move.publish()
        store.refresh()
    return move.summary


class _Move:
    """What a move changes in one version.

    Raises:
        QueryError: nothing of the library lies in the old place, or nothing is in the new one.
    """

    def __init__(self, store: Store, old: AnyName, new: AnyName) -> None:
        self.store, self.contents = store, store.contents
        kinds = {record.path: record.kind for record in store.manifest.sources}
        self.names = Renaming(absolute(old), absolute(new), kinds)
        table, live = self.contents.table, self.contents.live
        columns = ("path", "member", "size", "offset", "source")
        self.rows = table.select(columns).filter(live).to_pylist() if table.num_rows else []
        self.files = self._files()
        self._check()
        self.summary = self._look()

    def _files(self) -> dict[bytes, int]:
        """The files of the living rows in the old place, with their sizes when they were read."""
        files = {}
        for row in self.rows:
            if self.names.target(row["path"]) is not None:
                is_whole = not row["member"] and row["offset"] != NO_IMAGE
                files[row["path"]] = row["size"] if is_whole else _ANY_SIZE
        return files

    def _check(self) -> None:
        old, known = fsdecode(self.names.old), list(self.names.kinds)
        if self.names.old == self.names.new:
            raise QueryError(f"{name_of(old)!r} is both the old and the new place.")
        if not self.files:
            near = difflib.get_close_matches(old, known, 1, 0.6)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            all_known = f" Its sources are: {', '.join(map(repr, known)) or 'none'}."
            raise QueryError(
                f"No image of {self.store.folder} lies in {name_of(old)!r}.{guess}"
                f"{all_known if near != known else ''}"
            )

    def _look(self) -> Moved:
        """Look for the files, and settle which of them and of the sources keep their names."""
        names, there, changed = self.names, 0, 0
        for path, size in self.files.items():
            found = _size(names.path(path))
            there += found is not None
            changed += found is not None and size not in (_ANY_SIZE, found)
            if found is None and not is_gone(path):
                names.staying.add(path)
        if not there:
            raise self._none_there()
        for source in map(os.fsencode, names.kinds):
            target = names.target(source)
            if target is not None and (is_gone(source) or not is_gone(target)):
                names.sources[fsdecode(source)] = fsdecode(target)
        renamed = sum(names.path(row["path"]) != row["path"] for row in self.rows)
        self.repeated = list(self._repeated())
        return Moved(
            old=fsdecode(names.old),
            new=fsdecode(names.new),
            files=len(self.files),
            there=there,
            changed=changed,
            staying=len(names.staying),
            rows=renamed - len(self.repeated),
            merged=len(self.repeated),
        )

    def _repeated(self) -> Iterator[int]:
        """Yield the numbers of rows whose new name is that of another row."""
        keys = [(row["path"], row["member"]) for row in self.rows]
        taken = {key for key in keys if self.names.path(key[0]) == key[0]}
        for row, key, number in zip(self.rows, keys, self.contents.living, strict=True):
            path = self.names.path(row["path"])
            if path != row["path"] and (path, self.names.member(*key, row["offset"])) in taken:
                yield int(number)

    def _none_there(self) -> QueryError:
        names, first = self.names, next(iter(self.files))
        old, new = (name_of(fsdecode(place)) for place in (names.old, names.new))
        wanted = names.target(first) or b""
        below = os.path.join(names.new, os.path.basename(names.old))
        others = [below, os.path.dirname(names.new)]
        near = [
            name_of(fsdecode(place))
            for place in others
            if place != names.old and _size(place + wanted[len(names.new) :]) is not None
        ]
        guess = f" Did you mean {near[0]!r}?" if near else ""
        reason = (
            f"they are still in {old!r}"
            if names.staying
            else f"there is no {name_of(fsdecode(wanted))!r}, for one"
        )
        return QueryError(
            f"None of the {len(self.files):,} files of {old!r} is in {new!r}: {reason}.{guess} "
            "Nothing was changed."
        )

    def publish(self) -> None:
        """Write the version with the new names."""
        store, old = self.store, self.store.manifest
        segments = tuple(map(self._renamed, old.segments))
        if self.repeated:
            segments += (
                write_segment(store.folder, old.next_row, old.dtype, [], [], self.repeated),
            )
        left_out = {self.names.sources.get(key, key): of for key, of in old.left_out.items()}
        store.publish(
            replace(
                old,
                rows=old.rows - len(self.repeated),
                sources=tuple(dict.fromkeys(self._sources(old.sources))),
                segments=segments,
                left_out=left_out | {k: of for k, of in old.left_out.items() if k in left_out},
            )
        )

    def _renamed(self, segment: SegmentRecord) -> SegmentRecord:
        """Write a segment again whose names change; its vectors are not copied."""
        files = {}
        for name in (ROWS, ERRORS, COLUMNS):
            if name in segment.files:
                table = read_table(self.store.folder, segment, name)
                renamed = self.names.table(table)
                if renamed is not table:
                    files[name] = renamed
        if not files:
            return segment
        start, rows, dtype = segment.first_row, segment.rows, segment.dtype
        return write_files(self.store.folder, start, rows, dtype, files, copied=segment)

    def _sources(self, records: tuple[SourceRecord, ...]) -> Iterator[SourceRecord]:
        """Yield the sources of the version with the new names."""
        staying = {row["source"] for row in self.rows if row["path"] in self.names.staying}
        used = {self.names.source(row["source"], row["path"]) for row in self.rows}
        for record in records:
            if record.path in self.names.sources:
                yield replace(record, path=self.names.sources[record.path])
            if record.path not in self.names.sources or record.path in staying:
                yield record
        known = {*self.names.kinds, *self.names.sources.values()}
        if (place := fsdecode(self.names.new)) in used - known:
            yield SourceRecord("folder" if os.path.isdir(self.names.new) else "file", place)


def _size(path: bytes) -> int | None:
    """Return the bytes of a file; None if there is none."""
    try:
        return status_of(path).st_size
    except (OSError, ValueError):
        return None
