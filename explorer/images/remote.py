"""Files by address: s3://, gs://, hdfs:// and abfs:// by Arrow, other schemes by their fsspec.

An address is bytes like any path, and never quoted: what follows the bucket is the file's name.
"""

import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, cast

from explorer.errors import ExplorerError, QueryError

READ_AT_ONCE = 1 << 20  # bytes of one request, where a file is read on
_SCHEME = re.compile(rb"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)
_GOOGLES = re.compile(
    r"google::cloud::Status\(\w+: (?:.*? last message of )?(.*?)(?: error_info=|\)$)"
)
GOOGLE_SECONDS = 30  # in which Google's servers may answer; Arrow would try for 15 minutes
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


def joined(folder: bytes, name: bytes) -> bytes:
    """Return the path or address of a name that is relative to a folder, or to an address.

    "." and ".." of a relative name are resolved, but not beyond the bucket or host.

    >>> joined(b"/a", b"../b.png"), joined(b"s3://bucket/a", b"../b.png")
    (b'/b.png', b's3://bucket/b.png')
    >>> joined(b"s3://bucket/a", b"/b.png"), joined(b"/a", b"s3://bucket/./b.png")
    (b'/b.png', b's3://bucket/./b.png')
    """
    if is_remote(name):
        return name
    if not is_remote(folder) or os.path.isabs(name):
        return os.path.normpath(os.path.join(folder, name))
    bucket, *parts = folder.rstrip(b"/").partition(b"://")[2].split(b"/")
    for part in name.split(b"/"):
        if part == b"..":
            parts = parts[:-1]
        elif part != b".":
            parts.append(part)
    return b"/".join((folder.partition(b"://")[0] + b"://" + bucket, *parts))


def absolute(name: bytes) -> bytes:
    """Return the absolute path of a file; an address stays as it is.

    >>> absolute(b"s3://bucket/a.csv"), absolute(b"/a/../b")
    (b's3://bucket/a.csv', b'/b')
    """
    return name.rstrip(b"/") if is_remote(name) else os.path.abspath(name)


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
    with _told(path):
        return cast(BinaryIO, io.BufferedReader(system.open_input_file(name), READ_AT_ONCE))


def read_remote(path: bytes, most: int) -> bytes:
    """Read the whole file of an address.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it has more than `most` bytes.
    """
    system, name = _system(path)
    with _told(path), system.open_input_file(name) as stream:
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
    with _told(root):
        found = system.get_file_info(FileSelector(name, recursive=True))
    above = len(name.strip("/"))
    for info in sorted(found, key=lambda each: each.path):
        if info.type == FileType.File:
            below = os.fsencode(info.path.lstrip("/")[above:].lstrip("/"))
            yield root.rstrip(b"/") + b"/" + below, Status(info.size or 0, info.mtime_ns or 0)


def _status(path: bytes) -> Status:
    from pyarrow.fs import FileType

    system, name = _system(path)
    with _told(path):
        info = system.get_file_info(name)
    if info.type == FileType.NotFound:
        raise FileNotFoundError(2, "No such file", os.fsdecode(path))
    folder = info.type == FileType.Directory
    return Status(info.size or 0, info.mtime_ns or 0, is_folder=folder)


@contextmanager
def _told(path: bytes) -> Iterator[None]:
    """Turn the errors that a file system has of its own into an OSError with its reason.

    Raises:
        OSError: never FileNotFoundError, unless the file system says so itself.
    """
    try:
        yield
    except OSError as error:
        if found := _GOOGLES.match(str(error)):
            raise OSError(errno.EIO, found[1], os.fsdecode(path)) from error
        raise
    except (ValueError, MemoryError, ExplorerError):
        raise
    except Exception as error:  # each package has its own
        reason = str(error) or type(error).__name__
        raise OSError(errno.EIO, reason, os.fsdecode(path)) from error


def _system(path: bytes) -> tuple[Any, str]:
    """Return the file system of an address, and the file's name in it.

    Raises:
        QueryError: nothing here reads this scheme.
        OSError: its server cannot be reached, or lets nobody in.
    """
    found = _SCHEME.match(path)
    assert found is not None
    scheme, rest = found[1].decode(), os.fsdecode(found[2])
    bucket, _, name = rest.partition("/")
    with _told(path):
        try:
            if scheme in _BY_ARROW:
                system, base = _by_arrow(scheme, bucket)
                return system, (base + name).rstrip("/") or "/"
            system = _by_fsspec(scheme, bucket)  # of http:// a file's name is the whole address
            return system, system.handler.fs._strip_protocol(f"{scheme}://{rest}")
        except (ImportError, ValueError, NotImplementedError) as error:
            raise QueryError(f"Files of {scheme}:// cannot be read here: {error}.") from None


@lru_cache(maxsize=32)
def _by_arrow(scheme: str, bucket: str) -> tuple[Any, str]:
    """Return Arrow's file system of a bucket or host, and what its names begin with.

    Of abfs://CONTAINER@ACCOUNT.dfs.core.windows.net that is the container; of a host alone it is
    nothing, since its names begin with the container; of file:// and hdfs:// the root.
    """
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if scheme == "s3" and endpoint:
        kind, _, host = endpoint.partition("://")
        return fs.S3FileSystem(endpoint_override=host.rstrip("/"), scheme=kind), f"{bucket}/"
    limit = f"?retry_limit_seconds={GOOGLE_SECONDS}" if scheme in ("gs", "gcs") else ""
    system, base = fs.FileSystem.from_uri(f"{scheme}://{bucket}/{limit}")
    return system, base if base.endswith("/") or not base else f"{base}/"


@lru_cache(maxsize=32)
def _by_fsspec(scheme: str, bucket: str) -> Any:
    """Return the file system of a bucket or host by the fsspec package that knows its scheme."""
    from explorer.images.remote_fsspec import system_of

    return system_of(f"{scheme}://{bucket}", _told)
