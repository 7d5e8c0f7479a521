"""Writing so that what is acknowledged survives a power cut.

The order is always: temporary name, fsync of the file, rename, fsync of the folder. A final name
therefore holds whole content or nothing. This file knows bytes and folders only.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath

from explorer.errors import LibraryError

TEMPORARY = ".tmp-"


def write_file(file: FilePath, content: bytes) -> None:
    """Put `content` at `file` as a whole, durably; a file that was there is replaced."""
    temporary = file.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        _write_synced(temporary, content)
        os.replace(temporary, file)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(file.parent)


def write_folder(folder: FilePath, files: dict[str, bytes]) -> None:
    """Make `folder` with these files appear as a whole, durably; it must not exist yet."""
    temporary = folder.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        temporary.mkdir()
        for name, content in files.items():
            _write_synced(temporary / name, content)
        sync_folder(temporary)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def make_folder(folder: FilePath) -> None:
    """Make `folder` and its missing parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: FilePath) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(file: FilePath) -> str:
    """Hash a file's content."""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def explain_failure(folder: FilePath, saved: int) -> Iterator[None]:
    """Turn a failure of the disk into a LibraryError: what failed, free space, what is saved."""
    try:
        yield
    except OSError as error:
        if isinstance(error, LibraryError):
            raise
        raise LibraryError(
            f"The library {folder} cannot be written: {error.strerror or error}. "
            f"{_free_space(folder)}{saved:,} rows are saved. Put this right and run the same "
            "again; it goes on from there."
        ) from error


def _free_space(folder: FilePath) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB are free on its disk. "
    except OSError:
        return ""


def _write_synced(file: FilePath, content: bytes) -> None:
    with open(file, "xb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
