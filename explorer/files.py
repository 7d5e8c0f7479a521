"""Write files so that what is acknowledged survives a power cut; the one place that does.

The order is always: temporary name, fsync of the file, rename, fsync of the folder. A final name
therefore holds whole content or nothing. What the disk refuses becomes one sentence, a DiskError.
Knows bytes, files and folders only.
"""

import errno
import hashlib
import io
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath
from typing import IO

from explorer.refusals import TEMPORARY, Unconfirmed, explain_failure, refused_file

_UNFINISHED: set[FilePath] = set()  # temporary names of this process
ABANDONED_SECONDS = 3600.0  # what is younger may still be written by another process
_OURS = re.compile(rf"{re.escape(TEMPORARY)}[0-9a-f]{{32}}(\.|$)")


def write_file(file: FilePath, content: bytes) -> None:
    """Write `content` to `file`, durably and as a whole; a file that was there is replaced.

    Raises:
        DiskError: the disk is full or refuses; the file that was there is untouched.
    """
    with writing(file, needed=len(content)) as temporary:
        temporary.write_bytes(content)


@contextmanager
def writing(file: FilePath, needed: int | None = None) -> Iterator[FilePath]:
    """Yield a temporary name with the suffix of `file`; what the block writes there becomes `file`.

    If the block raises, the temporary file is removed and a `file` that was there is untouched.

    Args:
        needed: bytes, if known.

    Raises:
        DiskError: the disk is full or refuses.
    """
    temporary = _temporary(file, file.suffix)
    saved = "The file that was there is unchanged." if os.path.lexists(file) else ""
    try:
        with explain_failure(file, needed=needed, part=temporary, saved=saved):
            yield temporary
            _publish(temporary, file)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        _UNFINISHED.discard(temporary)


@contextmanager
def writing_stream(file: FilePath) -> Iterator[IO[bytes]]:
    """Yield a stream; what the block writes there becomes `file`, as with `writing`.

    It has no descriptor: numpy and others that write past a stream lose the system's reason.

    Raises:
        DiskError: the disk is full or refuses.
    """
    with writing(file) as temporary, _Stream(io.FileIO(temporary, "w")) as stream:
        yield stream


class _Stream(io.BufferedWriter):
    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def check_writable(file: FilePath) -> None:
    """Check that `file` can be written, before what takes long is computed for it.

    Raises:
        DiskError: the disk refuses, or it is a folder.
    """
    temporary = _temporary(file, file.suffix)
    with explain_failure(file):
        if os.path.lexists(file) and stat.S_ISDIR(os.stat(file).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if len(os.fsencode(file.name)) > os.pathconf(file.parent, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        temporary.touch()
        temporary.unlink()


def finish_file(part: FilePath, file: FilePath) -> None:
    """Rename a complete file to its final name, durably; a file that was there is replaced.

    Raises:
        DiskError: the disk refuses; `part` is still there.
    """
    with explain_failure(file):
        _publish(part, file)


@contextmanager
def writing_folder(folder: FilePath) -> Iterator[FilePath]:
    """Yield an empty temporary folder; what the block writes into it becomes `folder`.

    Raises:
        DiskError: the disk is full or refuses, or `folder` is there and not empty.
    """
    temporary = _temporary(folder)
    try:
        with explain_failure(folder):
            temporary.mkdir()
            yield temporary
            for below, _, names in os.walk(temporary, topdown=False):
                for name in sorted(names):
                    _sync(FilePath(below, name))
                _sync(FilePath(below))
            os.replace(temporary, folder)
            _confirm(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        _UNFINISHED.discard(temporary)


def remove_unfinished() -> None:
    """Remove what other threads are writing, because the process is about to end.

    A folder is renamed first: what its writer publishes meanwhile stays whole.
    """
    for temporary in list(_UNFINISHED):
        with suppress(OSError):
            if temporary.is_dir():
                aside = temporary.with_name(f"{temporary.name}-ended")
                os.replace(temporary, aside)
                shutil.rmtree(aside, ignore_errors=True)
            else:
                temporary.unlink()


def replace_files(fresh: FilePath, folder: FilePath, last: str) -> None:
    """Move all files of `fresh` into `folder`, durably, over those of the same names.

    Args:
        last: the file that says that the others belong together: it is removed first and comes
            last, so that a mixture of old and new files is never taken for whole.

    Raises:
        DiskError: the disk refuses.
    """
    with explain_failure(folder):
        (folder / last).unlink(missing_ok=True)
        names = [file.relative_to(fresh) for file in fresh.rglob("*") if file.is_file()]
        for name in sorted(names, key=lambda name: (name == FilePath(last), name)):
            make_folder((folder / name).parent)
            _publish(fresh / name, folder / name)


def make_folder(folder: FilePath) -> None:
    """Make `folder` and its missing parents, durably.

    Raises:
        DiskError: the disk refuses.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with explain_failure(folder):
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def move_into(entry: FilePath, folder: FilePath) -> None:
    """Move a file or folder into another folder of the same disk, durably.

    Raises:
        DiskError: the disk refuses.
    """
    with explain_failure(entry):
        os.replace(entry, folder / entry.name)
        _confirm(folder / entry.name)
        _confirm(entry)


def collect_temporary(folder: FilePath) -> None:
    """Delete what killed processes left half written in a folder of ours, over an hour ago."""
    before = time.time() - ABANDONED_SECONDS
    with suppress(OSError):
        for entry in os.scandir(folder):
            if _OURS.match(entry.name):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        is_folder = entry.is_dir(follow_symlinks=False)
                        (shutil.rmtree if is_folder else os.unlink)(entry.path)


def link_or_copy(file: FilePath, target: FilePath) -> None:
    """Give an immutable file a second name; copy it where the disk has no hard links."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def file_sha256(file: FilePath) -> str:
    """Compute the SHA-256 of a file's content."""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _temporary(target: FilePath, suffix: str = "") -> FilePath:
    temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}{suffix}")
    _UNFINISHED.add(temporary)
    return temporary


def _publish(part: FilePath, file: FilePath) -> None:
    _sync(part)
    os.replace(part, file)
    _confirm(file)


def _confirm(entry: FilePath) -> None:
    """Make the name that `entry` was just given durable.

    Raises:
        Unconfirmed: the disk refuses; the name is there, but may not survive a power cut.
    """
    try:
        _sync(entry.parent)
    except OSError as error:
        what = "is in its place and whole, but the disk did not confirm its name"
        remedy = "A power cut may undo it: look at the disk's messages (dmesg), and run it again."
        raise refused_file(error, entry, what=what, kind=Unconfirmed, remedy=remedy) from error


def _sync(entry: FilePath) -> None:
    """Make a file's content, or the names in a folder, durable."""
    descriptor = os.open(entry, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
