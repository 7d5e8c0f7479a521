"""Items: what a source names, image by image, and what a scan of sources adds up to.

Paths are bytes, since a file system allows any bytes; `name` is for display.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from os import PathLike, fsdecode
from typing import Any

from explorer.images import read_bytes
from explorer.images.remote import Status, status_of
from explorer.library.manifest import SourceRecord
from explorer.library.segments import Key
from explorer.library.sources.exclusion import Exclusion
from explorer.library.sources.members import Part, display_name

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
        """The absolute path for display, and which part of the file it is."""
        return display_name(self.path, self.member, self.offset)

    @property
    def content(self) -> "str | Part":
        """What the encoder reads: a file's name, or a part of a file."""
        if not self.member:
            return fsdecode(self.path)
        return Part(self.path, self.member, self.offset, self.size)

    def read(self) -> bytes:
        """Read the image's bytes.

        Raises:
            ImageError: the file is gone.
        """
        return read_bytes(self.content)

    @property
    def names(self) -> tuple[bytes, bytes, bytes]:
        """The names by which a table may refer to it."""
        return self.path, self.relative, self.member


@dataclass
class Scan:
    """The items and records that the sources hold now."""

    records: list[SourceRecord] = field(default_factory=list)
    items: dict[Key, Item] = field(default_factory=dict)
    unknown: list[bytes] = field(default_factory=list)  # folders and tars only partly read
    warnings: list[str] = field(default_factory=list)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)  # source → suffix → files

    def leave_out(self, source: bytes, suffix: str, files: int = 1) -> None:
        """Count files of a source that are not read."""
        self.left_out.setdefault(fsdecode(source), Counter())[suffix or "without suffix"] += files

    def covers(self, path: bytes, kind: str, source: str) -> bool:
        """Check whether an item of this path would be among `items` if it still existed."""
        whole = os.fsencode(source)  # of a table, images lie anywhere
        if any(u in (path, whole) or path.startswith(u + b"/") for u in self.unknown):
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


@dataclass
class Options:
    """What a scan leaves out, and how it reads videos.

    Args:
        every: seconds between frames of a video; None leaves videos out.
        library: the library's own folder, which is never searched.
        fetched: what became of the URLs of tables, which are fetched first.
    """

    exclusion: Exclusion = field(default_factory=Exclusion)
    every: float | None = None
    library: bytes = b""
    fetched: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    @property
    def fetched_folder(self) -> bytes:
        """The folder of the images that were fetched for tables of URLs."""
        return os.path.join(self.library, b"fetched")


def item_of(
    path: bytes, relative: bytes, source: bytes, status: os.stat_result | Status, **more: Any
) -> Item:
    """Return the item of a file, or of a part of it."""
    fingerprint = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Item(path, relative, fsdecode(source), *fingerprint, **more)


def broken_item(path: bytes, relative: bytes, source: bytes, reason: str) -> Item:
    """Return the item of something that cannot be an image."""
    try:
        status = status_of(path)
        fingerprint = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    except (OSError, ValueError):  # ValueError: a NUL in the name
        fingerprint = 0, 0, 0
    return Item(path, relative, fsdecode(source), *fingerprint, problem=reason)
