"""Members: images that are a part of a file: in a tar, in a table, or a frame of a video."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from os import fsdecode
from typing import Any

from explorer.errors import ImageError
from explorer.images import name_of
from explorer.images.remote import is_remote, open_file, status_of
from explorer.library.sources.embedded import read_row
from explorer.library.sources.videos import read_frame


def display_name(path: bytes, member: bytes, offset: int) -> str:
    """Return how an image is named for people: a.png, a.tar/1.png, a.mp4@2.0s, a.parquet#7."""
    separator = b"/" if member and offset >= 0 else b""
    return name_of(fsdecode(path + separator + member))


@dataclass(frozen=True)
class Part:
    """An image inside a file, which a worker may read; see `explorer.images.reading.Reference`."""

    path: bytes
    member: bytes
    offset: int  # of its bytes in a tar, decompressed; -1: it is a row or a frame
    size: int

    def __fspath__(self) -> str:
        return display_name(self.path, self.member, self.offset)

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame of a video."""
        return self.offset < 0 and self.member.startswith(b"@")

    def read(self) -> bytes:
        """Return its bytes; a frame's as a JPEG file.

        Raises:
            ImageError: the file is gone or cannot be read.
        """
        try:
            if self.is_frame:
                return read_frame(self.path, float(self.member[1:-1]))
            if self.offset < 0:
                return read_row(self.path, int(self.member[1:]))
            if self.path.lower().endswith((b".gz", b".tgz")):
                handle = _decompressed(self.path, status_of(self.path).st_mtime_ns)
                handle.seek(self.offset)  # onwards, it only reads; back, it starts again
                return handle.read(self.size)
            with open_file(self.path) as plain:
                plain.seek(self.offset)
                return plain.read(self.size)
        except (OSError, EOFError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"{self.__fspath__()} cannot be read: {reason}.") from None


@lru_cache(maxsize=1)
def _decompressed(path: bytes, _mtime_ns: int) -> gzip.GzipFile:
    if is_remote(path):
        return gzip.GzipFile(mode="rb", fileobj=open_file(path))
    return gzip.GzipFile(fsdecode(path), "rb")


def read_member(record: Mapping[str, Any]) -> bytes:
    """Read the bytes of a stored row's image in place.

    Raises:
        ImageError: its file is gone or has changed.
    """
    part = Part(record["path"], record["member"], record["offset"], record["size"])
    content = part.read()
    if part.is_frame:  # its bytes depend on the version of FFmpeg too
        same = status_of(part.path).st_size == record["size"]
    else:
        same = hashlib.sha256(content).hexdigest() == record["sha256"]
    if not same:
        raise ImageError(f"{record['item']} has changed; add its file to the library again.")
    return content
