"""Files by address: s3://, gs://, hdfs:// and abfs:// by Arrow, other schemes by their fsspec.

An address is bytes like any path, and never quoted: what follows the bucket is the file's name.
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, cast

from explorer.errors import QueryError

READ_AT_ONCE = 1 << 20  # bytes of one request, where a file is read on
_SCHEME = re.compile(rb"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)
_BY_ARROW = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss", "file")


@dataclass(frozen=True)
class Status:
    """Size and time of a file, named as those of `os.stat`."""

    st_size: int  # bytes
    st_mtime_ns: int
    st_ctime_ns: int = 0
    is_folder: bool = False


def is_remote(path: bytes | str) -> bool:
    """Return whether a path is an address with a scheme.

    >>> is_remote("s3://bucket/a.png"), is_remote("/a.png")
    (True, False)
    """
    return _SCHEME.match(os.fsencode(path)) is not None


def status_of(path: bytes) -> os.stat_result | Status:
    """Return size and time of a file, wherever it lies.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    return _status(path) if is_remote(path) else os.stat(path)


def open_file(path: bytes) -> BinaryIO:
    """Open a file to be read, wherever it lies; reads of an address are bundled.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    if not is_remote(path):
        return open(path, "rb")
    system, name = _system(path)
    return cast(BinaryIO, io.BufferedReader(system.open_input_file(name), READ_AT_ONCE))


def read_remote(path: bytes, most: int) -> bytes:
    """Read the whole file of an address.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it has more than `most` bytes.
    """
    system, name = _system(path)
    with system.open_input_file(name) as stream:
        if (size := stream.size()) > most:
            raise ValueError(f"{size / 1e6:.0f} MB; at most {most // 10**6} MB are read")
        return bytes(stream.read())


def walk_remote(root: bytes) -> Iterator[tuple[bytes, Status]]:
    """Yield the files below an address, in the order of their names.

    Raises:
        OSError: it cannot be listed.
    """
    from pyarrow.fs import FileSelector, FileType

    system, name = _system(root)
    prefix = root[: len(root) - len(os.fsencode(name))]
    found = system.get_file_info(FileSelector(name, recursive=True))
    for info in sorted(found, key=lambda each: each.path):
        if info.type == FileType.File:
            yield prefix + os.fsencode(info.path), Status(info.size, info.mtime_ns or 0)


def _status(path: bytes) -> Status:
    from pyarrow.fs import FileType

    system, name = _system(path)
    info = system.get_file_info(name)
    if info.type == FileType.NotFound:
        raise FileNotFoundError(2, "No such file", os.fsdecode(path))
    folder = info.type == FileType.Directory
    return Status(info.size or 0, info.mtime_ns or 0, is_folder=folder)


def _system(path: bytes) -> tuple[Any, str]:
    """Return the file system of an address, and the file's name in it."""
    found = _SCHEME.match(path)
    assert found is not None
    scheme, rest = found[1].decode(), os.fsdecode(found[2])
    bucket, _, name = rest.partition("/")
    system, base = _connected(scheme, bucket)
    return system, "/".join(part for part in (base, name.rstrip("/")) if part)


@lru_cache(maxsize=32)
def _connected(scheme: str, bucket: str) -> tuple[Any, str]:
    """Return the file system of a bucket or host, and what its names begin with.

    Raises:
        QueryError: nothing here reads this scheme.
    """
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    try:
        if scheme == "s3" and endpoint:
            kind, _, host = endpoint.partition("://")
            return fs.S3FileSystem(endpoint_override=host.rstrip("/"), scheme=kind), bucket
        if scheme in _BY_ARROW:
            return fs.FileSystem.from_uri(f"{scheme}://{bucket}")
        import fsspec

        return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(scheme))), bucket
    except (ImportError, ValueError, NotImplementedError) as error:
        raise QueryError(f"Files of {scheme}:// cannot be read here: {error}.") from None
