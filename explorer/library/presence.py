"""Presence: which images' files are no longer where they were indexed."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from explorer.errors import ImageError
from explorer.images.remote import status_of
from explorer.library.contents import Contents
from explorer.library.few_rows import RowSource
from explorer.library.segments import NO_IMAGE


class FileGone(ImageError):
    """The file of an image is no longer where it was indexed."""


INFO_SECONDS = 2.0  # that `info` spends on looking
VERIFY_SECONDS = 10.0  # that `verify` does, unless it reads all data
_AT_ONCE = 256  # files between looks at the clock


def is_gone(path: bytes) -> bool:
    """Whether there is no such file; one that cannot be looked at now is not gone.

    A server that does not answer, a disk that fails and a folder that may not be read say nothing
    of the file.
    """
    try:
        status_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return b"\0" in path  # which no file has in its name
    return False


def missing_rows(source: RowSource, rows: Int[np.ndarray, " K"]) -> Bool[np.ndarray, " K"]:
    """Say which of these rows, counted from 0, name a file that is no longer there."""
    paths, offsets = (source.cells(name, rows) for name in ("path", "offset"))
    gone = {path: is_gone(path) for path in set(paths)}
    named = [offset != NO_IMAGE for offset in offsets]
    return np.array([n and gone[p] for n, p in zip(named, paths, strict=True)], dtype=bool)


@dataclass(frozen=True)
class FilesChecked:
    """How many of a library's files are no longer there, and how many were looked at.

    Args:
        files: that its rows name; a tar or a video counts once.
        checked: of them, in random order where the time did not suffice for all.
        missing: of those.
    """

    files: int
    checked: int
    missing: int

    def __str__(self) -> str:
        if self.checked < self.files:
            return (
                f"{self.missing:,} of {self.checked:,} files looked at are no longer there; "
                f"the library has {self.files:,}, and the time was up"
            )
        if not self.missing:
            return f"all {self.files:,} are there"
        return f"{self.missing:,} of {self.files:,} are no longer there"


def check_files(contents: Contents, seconds: float | None) -> FilesChecked:
    """Count the files that are gone; see `Library.check_files`."""
    paths = _paths(contents)
    checked = missing = 0
    start = time.monotonic()
    order = np.random.default_rng(0).permutation(len(paths))
    for first in range(0, len(order), _AT_ONCE):
        if seconds is not None and time.monotonic() - start >= seconds:
            break
        part = paths.take(order[first : first + _AT_ONCE]).to_pylist()
        missing += sum(map(is_gone, part))
        checked += len(part)
    return FilesChecked(len(paths), checked, missing)


def _paths(contents: Contents) -> Any:
    """Return the distinct files of the living rows, as an Arrow array."""
    import pyarrow.compute as pc

    table = contents.table.select(["path", "offset"])
    if not table.num_rows:
        return table.column("path").combine_chunks()
    own = np.asarray(contents.live) & (table.column("offset").to_numpy() != NO_IMAGE)
    return pc.unique(table.column("path").filter(own))
