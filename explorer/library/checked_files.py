"""Which stored files were read whole and matched the manifest's checksum, and when.

A file is read again, whole, when its size, times or inode differ from those at its last full check,
or when that is `RECHECK_DAYS` ago. What was found is kept in the library's cache.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path as FilePath
from typing import NamedTuple

from explorer.cache_files import find_cache, write_cache
from explorer.errors import DiskError, LibraryDamaged
from explorer.library.manifest import FileRecord, SegmentRecord
from explorer.library.segments import remedy, segment_file

RECHECK_DAYS = 30
SETTLED_SECONDS = 2.0  # a file may change again within one tick of a disk's clock
CACHE_NAME = "checked"
FORMAT = "1"
_CHUNK = 1 << 20  # bytes


class Identity(NamedTuple):
    """What tells, without reading it, that a file has not been written to."""

    size: int  # bytes
    mtime_ns: int
    ctime_ns: int  # set by every change of content or attributes, and by nobody else
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "Identity":
        """Return the identity of a file."""
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


class _Check(NamedTuple):
    """A full check: what the file was, its checksum then, and when, in seconds since 1970."""

    identity: Identity
    sha256: str
    seconds: float


class CheckedFiles:
    """The full checks of a library's stored files: those of earlier processes, and its own."""

    def __init__(self, folder: FilePath) -> None:
        self._folder = folder
        self._problems: dict[str, tuple[Identity, str]] = {}  # of this process; "" is whole
        self._kept: dict[str, _Check] | None = None
        self._changed = False

    def problems(self, segment: SegmentRecord, read_data: bool = False) -> dict[str, str]:
        """Return what is wrong with a segment's files: file name → sentence.

        Args:
            read_data: read all files; without it, only those that a check is due for.
        """
        found = {name: self._problem(segment, name, read_data) for name in segment.files}
        return {name: problem for name, problem in found.items() if problem}

    def identity(self, segment: SegmentRecord, name: str) -> Identity:
        """Return what a file must still be when it is read.

        Raises:
            LibraryDamaged: it is not what was written.
        """
        key = _key(segment, name)
        known = self._problems.get(key)
        problem = self._problem(segment, name, read_data=False) if known is None else known[1]
        if problem:
            raise LibraryDamaged(f"{problem} {remedy(self._folder)}")
        return self._problems[key][0]

    def trust(self, segment: SegmentRecord) -> None:
        """Take for whole what this process has just written; the next process reads it."""
        for name in segment.files:
            with suppress(OSError):
                identity = Identity.of(segment_file(self._folder, segment, name).stat())
                self._problems.setdefault(_key(segment, name), (identity, ""))

    def save(self, segments: Iterable[SegmentRecord]) -> None:
        """Keep the checks of these segments for later processes, where the disk lets it."""
        if not self._changed:
            return
        names = {_key(segment, name) for segment in segments for name in segment.files}
        checks = {name: check for name, check in self._earlier().items() if name in names}
        file = self._folder / "cache" / CACHE_NAME
        with suppress(DiskError, OSError):  # a cache: what is not kept is checked again
            file.parent.mkdir(exist_ok=True)
            write_cache(file, FORMAT, json.dumps(checks).encode())
            self._changed = False

    def _problem(self, segment: SegmentRecord, name: str, read_data: bool) -> str:
        key, file = _key(segment, name), segment_file(self._folder, segment, name)
        record = segment.files[name]
        try:
            identity = Identity.of(file.stat())
            known = self._problems.get(key)
            if known is not None and known[0] == identity and not read_data:
                return known[1]
            if identity.size != record.size:
                problem = f"{file} has {identity.size:,} bytes, but {record.size:,} were written."
            elif not read_data and self._was_checked(key, identity, record):
                problem = ""
            else:
                identity, problem = self._full_check(key, file, record)
        except OSError as error:
            self._problems.pop(key, None)
            return f"{file} cannot be read: {error.strerror}."
        self._problems[key] = identity, problem
        return problem

    def _was_checked(self, key: str, identity: Identity, record: FileRecord) -> bool:
        check = self._earlier().get(key)
        if check is None or check.identity != identity or check.sha256 != record.sha256:
            return False
        return 0 <= time.time() - check.seconds < RECHECK_DAYS * 86400

    def _full_check(self, key: str, file: FilePath, record: FileRecord) -> tuple[Identity, str]:
        """Read a file and compare its checksum; keep the result if it is whole and at rest."""
        with open(file, "rb", buffering=0) as handle:
            identity = Identity.of(os.fstat(handle.fileno()))
            digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
            while count := handle.readinto(buffer):
                digest.update(buffer[:count])
            changing = Identity.of(os.fstat(handle.fileno())) != identity
        now, checks = time.time(), self._earlier()
        if changing or digest.hexdigest() != record.sha256:
            self._changed |= checks.pop(key, None) is not None
            return identity, f"{file} was changed after it was written: its checksum differs."
        if now - max(identity.mtime_ns, identity.ctime_ns) / 1e9 > SETTLED_SECONDS:
            checks[key] = _Check(identity, record.sha256, now)
            self._changed = True
        return identity, ""

    def _earlier(self) -> dict[str, _Check]:
        """Return the checks that were kept, read on first use."""
        if self._kept is None:
            self._kept = {}
            content = find_cache(self._folder / "cache" / CACHE_NAME, FORMAT)
            with suppress(ValueError, TypeError, AttributeError, RecursionError):
                for key, (identity, sha256, seconds) in json.loads(content or b"{}").items():
                    self._kept[key] = _Check(Identity(*identity), str(sha256), float(seconds))
        return self._kept


def _key(segment: SegmentRecord, name: str) -> str:
    return f"{segment.id}/{name}"
