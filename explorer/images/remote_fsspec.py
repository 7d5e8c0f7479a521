"""How an fsspec file system is seen by Arrow: with the times that it knows, and honest errors.

Imported only where an address needs it, since it imports Arrow and fsspec.
"""

import datetime
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import fsspec
from pyarrow import PythonFile
from pyarrow.fs import FileInfo, FileSelector, FileType, FSSpecHandler, PyFileSystem

Told = Callable[[bytes], AbstractContextManager[None]]
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified")
_GONE = (404, 410)  # HTTP's answers that a file is not there


def system_of(address: str, told: Told) -> PyFileSystem:
    """Return the file system of an address.

    Host, user and the like go to the file system, as its own class reads them off the address.

    Args:
        told: makes an OSError of whatever goes wrong with a read of this file.

    Raises:
        ImportError: its package is not installed.
        ValueError: there is no file system of that scheme.
    """
    kind: Any = fsspec.get_filesystem_class(address.partition("://")[0])
    return PyFileSystem(Handler(kind(**kind._get_kwargs_from_urls(address)), told))


class Handler(FSSpecHandler):
    """Tells a file that is not there from one that could not be looked at."""

    def __init__(self, system: Any, told: Told) -> None:
        super().__init__(system)
        self.told = told

    @staticmethod
    def _create_file_info(path: str, info: Mapping[str, Any]) -> FileInfo:
        kind = {"file": FileType.File, "directory": FileType.Directory}.get(info["type"])
        size = None if kind == FileType.Directory else info["size"]
        return FileInfo(path, kind or FileType.Unknown, size=size, mtime=_time(info))

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        return [self._look(path) for path in paths]

    def _look(self, path: str) -> FileInfo:
        try:
            with _honest():
                return self._create_file_info(path, self.fs.info(path))
        except FileNotFoundError:
            return FileInfo(path, FileType.NotFound)

    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        """List the files below a folder, at any depth.

        Raises:
            OSError: one of the folders cannot be listed; fsspec's own `find` leaves it out.
        """
        found, waiting, seen = [], [selector.base_dir], {selector.base_dir.rstrip("/")}
        while waiting:
            for info in self._listed(waiting.pop(), selector.base_dir):
                name = info["name"].rstrip("/")
                if info["type"] != "directory":
                    found.append(self._create_file_info(info["name"], info))
                elif name not in seen:
                    seen.add(name)
                    waiting.append(info["name"])
        return found

    def _listed(self, folder: str, root: str) -> list[dict[str, Any]]:
        try:
            return list(self.fs.ls(folder, detail=True))
        except FileNotFoundError:
            if folder == root:
                raise
            return []  # it was removed meanwhile

    def open_input_file(self, path: str) -> PythonFile:
        with _honest():
            return PythonFile(_Stream(self.fs.open(path, mode="rb"), path, self.told), mode="r")


class _Stream:
    """An open file of which whatever goes wrong with a read is an OSError."""

    def __init__(self, stream: Any, path: str, told: Told) -> None:
        self._stream, self._path, self._told = stream, os.fsencode(path), told

    def read(self, size: int = -1) -> bytes:
        with self._told(self._path):
            return bytes(self._stream.read(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _honest() -> Iterator[None]:
    """Let FileNotFoundError pass only where the file is not there.

    Raises:
        OSError: a server refuses or does not answer, which HTTP's file system takes for not there.
    """
    try:
        yield
    except FileNotFoundError as error:
        cause = error.__cause__
        if _says_gone(cause):
            raise
        raise OSError(errno.EIO, str(cause) or type(cause).__name__) from error


def _says_gone(cause: BaseException | None) -> bool:
    """Return whether what led to a FileNotFoundError says that there is no such file."""
    status = getattr(cause, "status", None)
    if status is not None:
        return status in _GONE
    return cause is None or isinstance(cause, LookupError | StopIteration | FileNotFoundError)


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
