"""Write files so that what is acknowledged survives a power cut; the one place that does.

The order is always: temporary name, fsync of the file, rename, fsync of the folder. A final name
therefore holds whole content or nothing. What the disk refuses becomes one sentence, a DiskError.
Knows bytes, files and folders only.
"""

import difflib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath

from explorer.errors import DiskError, ExplorerError

TEMPORARY = ".tmp-"
_UNFINISHED: set[FilePath] = set()  # temporary names of this process


def write_file(file: FilePath, content: bytes) -> None:
    """Write `content` to `file`, durably and as a whole; a file that was there is replaced.

    Raises:
        DiskError: the disk is full or refuses; the file that was there is untouched.
    """
    with writing(file) as temporary:
        temporary.write_bytes(content)


@contextmanager
def writing(file: FilePath) -> Iterator[FilePath]:
    """Yield a temporary name with the suffix of `file`; what the block writes there becomes `file`.

    If the block raises, the temporary file is removed and a `file` that was there is untouched.

    Raises:
        DiskError: the disk is full or refuses.
    """
    temporary = _temporary(file, file.suffix)
    try:
        with explain_failure(file):
            yield temporary
            _publish(temporary, file)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        _UNFINISHED.discard(temporary)


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
            _sync(folder.parent)
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
    """Make `folder` and its missing parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def move_into(entry: FilePath, folder: FilePath) -> None:
    """Move a file or folder into another folder of the same disk, durably."""
    os.replace(entry, folder / entry.name)
    _sync(folder)
    _sync(entry.parent)


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


@contextmanager
def explain_failure(
    target: FilePath,
    remedy: str = "Make room or choose another place, and run the same again.",
    *,
    kind: type[ExplorerError] = DiskError,
    needed: int | None = None,
) -> Iterator[None]:
    """Turn a failure of the disk within the block into one sentence: what failed, what is free.

    An OSError that names a file elsewhere, and any other ExplorerError, passes unchanged.

    Args:
        remedy: what to do about it, as a sentence.
        kind: the class of the error.
        needed: bytes that were to be written, if known.
    """
    try:
        yield
    except OSError as error:
        foreign = isinstance(error, ExplorerError) and not isinstance(error, DiskError)
        if foreign or not _is_near(error.filename, target):
            raise
        wanted = "" if needed is None else f"{needed / 1e6:,.1f} MB are needed. "
        explained = kind(
            f"{target} cannot be written: {error.strerror or error}. {wanted}"
            f"{_free_space(target)}{remedy}"
        )
        if isinstance(explained, OSError):
            explained.errno, explained.strerror = error.errno, error.strerror
        raise explained from error


def _temporary(target: FilePath, suffix: str = "") -> FilePath:
    temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}{suffix}")
    _UNFINISHED.add(temporary)
    return temporary


def _publish(part: FilePath, file: FilePath) -> None:
    _sync(part)
    os.replace(part, file)
    _sync(file.parent)


def _sync(entry: FilePath) -> None:
    """Make a file's content, or the names in a folder, durable."""
    descriptor = os.open(entry, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_near(name: object, target: FilePath) -> bool:
    """Check whether an error that names this file comes from writing `target`."""
    if not isinstance(name, str | bytes | os.PathLike):
        return True  # the failure of a write or of an fsync names no file
    path = FilePath(os.path.abspath(os.fsdecode(name)))
    place = FilePath(os.path.abspath(target))
    temporary = any(part.startswith(TEMPORARY) for part in path.parts)
    return temporary or path.is_relative_to(place) or path == place.parent


def _free_space(target: FilePath) -> str:
    folder = next((f for f in (target, *target.parents) if f.is_dir()), FilePath("."))
    try:
        return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB are free on its disk. "
    except OSError:
        return ""


def config_folder() -> FilePath:
    """Return the folder of what the user has set or trusted; it need not exist."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return FilePath(base) / "unclip"


def no_such_file(file: str | os.PathLike[str]) -> str:
    """Say that there is no such file, and which name in its folder is nearest to it."""
    name = os.path.expanduser(os.fspath(file))
    folder, base = os.path.split(name)
    try:
        others = os.listdir(folder or ".")
    except OSError:
        others = []
    near = difflib.get_close_matches(base, others, n=1)
    if near:
        shown = os.path.join(os.path.dirname(os.fspath(file)), near[0])
        return f"There is no file {os.fspath(file)!r}; did you mean {shown!r}?"
    where = f"the working folder is {os.getcwd()!r}"
    return f"There is no file {os.fspath(file)!r}; {where}. Correct the path."
