"""How an fsspec file system is seen by Arrow: with the times that it knows, and honest errors.

Imported only where an address needs it, since it imports Arrow and fsspec.
"""

import datetime
import errno
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import fsspec
from pyarrow import PythonFile
from pyarrow.fs import FileInfo, FileType, FSSpecHandler, PyFileSystem

_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified")
_GONE = (None, 404, 410)  # HTTP's answers that a file is not there


def system_of(address: str) -> PyFileSystem:
    """Return the file system of an address.

    Host, user and the like go to the file system, as its own class reads them off the address.

    Raises:
        ImportError: its package is not installed.
        ValueError: there is no file system of that scheme.
    """
    kind: Any = fsspec.get_filesystem_class(address.partition("://")[0])
    return PyFileSystem(Handler(kind(**kind._get_kwargs_from_urls(address))))


class Handler(FSSpecHandler):
    """Tells a file that is not there from one that could not be looked at."""

    @staticmethod
    def _create_file_info(path: str, info: Mapping[str, Any]) -> FileInfo:
        kind = {"file": FileType.File, "directory": FileType.Directory}.get(info["type"])
        size = None if kind == FileType.Directory else info["size"]
        return FileInfo(path, kind or FileType.Unknown, size=size, mtime=_time(info))

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        return [self._look(path) for path in paths]

    def _look(self, path: str) -> FileInfo:
        try:
            return self._create_file_info(path, self.fs.info(path))
        except FileNotFoundError as error:  # of HTTP also where the server refuses
            status = getattr(error.__cause__, "status", None)
            if status not in _GONE or isinstance(error.__cause__, TimeoutError):
                raise OSError(errno.EIO, f"{error.__cause__}") from error
            return FileInfo(path, FileType.NotFound)

    def open_input_file(self, path: str) -> PythonFile:
        return PythonFile(self.fs.open(path, mode="rb"), mode="r")


def _time(info: Mapping[str, Any]) -> float | None:
    """Return when a file was last changed, in seconds since 1970, if its file system knows."""
    value = next((info[name] for name in _TIMES if info.get(name) is not None), None)
    try:
        if isinstance(value, str):
            value = parsedate_to_datetime(value) if "," in value else _iso(value)
        return float(value.timestamp() if isinstance(value, datetime.datetime) else value or 0)
    except (ValueError, TypeError):
        return None


def _iso(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
