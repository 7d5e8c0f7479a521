"""Sources: folders, files, webdataset tars and tables of paths become one list of items.

Paths are bytes, since a file system allows any bytes; `name` is for display. Images are not
opened here.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike, fsdecode
from typing import Any

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.library.manifest import SourceRecord
from explorer.library.segments import Key
from explorer.library.sources.columns import (
    FILE_COLUMNS,
    TABLE_SUFFIXES,
    Join,
    as_name,
    clean,
    file_column,
    read_records,
)
from explorer.library.sources.folders import Walk
from explorer.library.sources.tars import list_tar

_AUTOMATIC_TABLES = (b"captions", b"metadata")

AnySource = str | bytes | PathLike[str]


@dataclass(frozen=True, slots=True)
class Item:
    """One image that a source names, or (with `problem`) something that cannot be one."""

    path: bytes  # absolute
    relative: bytes  # to the source
    source: str
    size: int
    mtime_ns: int
    changed_ns: int
    member: bytes = b""
    offset: int = -1
    columns: dict[str, Any] | None = None
    problem: str = ""

    @property
    def key(self) -> Key:
        """The file and the member: what identifies the item."""
        return self.path, self.member

    @property
    def name(self) -> str:
        """The absolute path for display; a tar's member follows the path of the tar."""
        path = self.path + b"/" + self.member if self.member else self.path
        return name_of(fsdecode(path))

    def read(self) -> bytes:
        """Read the image's bytes.

        Raises:
            OSError: the file is gone.
        """
        with open(self.path, "rb") as handle:
            if self.offset < 0:
                return handle.read()
            handle.seek(self.offset)
            return handle.read(self.size)


@dataclass
class Scan:
    """The items and records that the sources hold now."""

    records: list[SourceRecord] = field(default_factory=list)
    items: dict[Key, Item] = field(default_factory=dict)
    unknown: list[bytes] = field(default_factory=list)  # folders and tars only partly read
    warnings: list[str] = field(default_factory=list)

    def covers(self, path: bytes, kind: str, source: str) -> bool:
        """Check whether an item of this path would be among `items` if it still existed."""
        if any(path == u or path.startswith(u + b"/") for u in self.unknown):
            return False
        for record in self.records:
            root = os.fsencode(record.path)
            if record.kind == "folder" and kind in ("folder", "file"):
                covered = path == root or path.startswith(root.rstrip(b"/") + b"/")
            else:
                covered = record.kind == kind and record.path == source
            if covered:
                return True
        return False

    def add(self, item: Item) -> None:
        """Add an item, unless an earlier source holds it."""
        self.items.setdefault(item.key, item)


def scan(sources: Sequence[AnySource] | AnySource, library: bytes, given: Join | None) -> Scan:
    """List what the sources hold.

    Args:
        library: the library's own folder, which is never searched.
        given: the user's table; its values win over those of tables beside the images.

    Raises:
        QueryError: a source does not exist or is of no known kind.
    """
    if isinstance(sources, str | bytes | PathLike):
        sources = [sources]
    found = Scan()
    for source in sources:
        path = os.path.abspath(os.fsencode(source))
        record = SourceRecord(_kind(path), fsdecode(path))
        found.records.append(record)
        read = {"folder": _scan_folder, "tar": _scan_tar, "table": _scan_table, "file": _scan_file}
        read[record.kind](found, path, library)
    if given is not None:
        _join(found, given)
        if found.items and not given.matched:
            found.warnings.append("No row of the given table names an image of the sources.")
    return found


def _kind(path: bytes) -> Any:
    name = name_of(fsdecode(path))
    if os.path.isdir(path):
        return "folder"
    if not os.path.exists(path):
        raise QueryError(
            f"There is no {name}. Pass folders, images, tars, or tables of paths "
            f"({', '.join(TABLE_SUFFIXES)})."
        )
    suffix = os.path.splitext(path.lower())[1]
    if suffix == b".tar":
        return "tar"
    return "table" if fsdecode(suffix) in TABLE_SUFFIXES else "file"


def _item(path: bytes, relative: bytes, source: bytes, status: os.stat_result, **more: Any) -> Item:
    fingerprint = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Item(path, relative, fsdecode(source), *fingerprint, **more)


def _broken(path: bytes, relative: bytes, source: bytes, reason: str, member: bytes = b"") -> Item:
    try:
        status = os.stat(path)
        fingerprint = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    except (OSError, ValueError):  # ValueError: a NUL in the name
        fingerprint = 0, 0, 0
    return Item(path, relative, fsdecode(source), *fingerprint, member=member, problem=reason)


def _scan_file(found: Scan, path: bytes, library: bytes) -> None:
    found.add(_item(path, os.path.basename(path), path, os.stat(path)))


def _scan_folder(found: Scan, root: bytes, library: bytes) -> None:
    before = set(found.items)
    walk = Walk(root, library)
    for path, status, reason in walk:
        relative = os.path.relpath(path, root)
        if status is None:
            found.add(_broken(path, relative, root, reason))
        else:
            found.add(_item(path, relative, root, status))
    found.unknown += walk.unreadable
    new = [key for key in found.items if key not in before]
    for name in [] if root in walk.unreadable else sorted(os.listdir(root)):
        stem, suffix = os.path.splitext(name)
        if stem.lower() in _AUTOMATIC_TABLES and fsdecode(suffix).lower() in TABLE_SUFFIXES:
            _use_automatic_table(found, os.path.join(root, name), new)
    if not new and not before:
        found.warnings.append(f"There are no images in {name_of(fsdecode(root))}.")


def _use_automatic_table(found: Scan, file: bytes, keys: list[Key]) -> None:
    try:
        records = read_records(file)
    except QueryError as error:
        found.warnings.append(str(error))
        return
    column = file_column(records)
    if column is None:
        name = name_of(fsdecode(file))
        found.warnings.append(f"{name} was ignored: none of its columns names the images.")
        return
    _join(found, Join(records, column, os.path.dirname(file)), keys)


def _join(found: Scan, join: Join, keys: list[Key] | None = None) -> None:
    for key in list(found.items) if keys is None else keys:
        item = found.items[key]
        if not item.problem and (columns := join.find(*item_names(item))):
            found.items[key] = replace(item, columns={**(item.columns or {}), **columns})


def item_names(item: Item) -> tuple[bytes, bytes, bytes]:
    """Return the names by which a table may refer to an item."""
    return item.path, item.relative, item.member


def _scan_table(found: Scan, file: bytes, library: bytes) -> None:
    records = read_records(file)
    column = file_column(records)
    if column is None:
        raise QueryError(
            f"The table {name_of(fsdecode(file))} has no column that names images; it needs "
            f"one of {', '.join(FILE_COLUMNS)}."
        )
    folder, again = os.path.dirname(file), 0
    for record in records:
        if not record.get(column):
            continue
        relative = as_name(record[column])
        path = os.path.normpath(os.path.join(folder, relative))
        again += (path, b"") in found.items
        try:
            item = _item(path, relative, file, os.stat(path), columns=clean(record, column))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            item = _broken(path, relative, file, f"{name_of(fsdecode(path))}: {reason}.")
        found.add(item)
    if again:
        found.warnings.append(
            f"{again:,} rows of {name_of(fsdecode(file))} name an image again; the first "
            "row counts."
        )


def _scan_tar(found: Scan, tar: bytes, library: bytes) -> None:
    status = os.stat(tar)
    listing = list_tar(tar)
    for member in listing.members:
        more: dict[str, Any] = {"member": member.name, "offset": member.offset}
        more |= {"columns": member.columns, "problem": member.problem}
        item = _item(tar, member.name, tar, status, **more)
        item = replace(item, size=member.size)
        if item.key in found.items:
            found.warnings.append(f"{item.name} is in the tar twice; the first counts.")
        found.add(item)
    if listing.problem:
        found.unknown.append(tar)
        found.add(_broken(tar, os.path.basename(tar), tar, listing.problem))
