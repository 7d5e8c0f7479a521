"""Refusals: what the disk or the memory refuses, in one sentence; the one place that says so.

The sentence gives what failed, what is needed, what is free, what was saved, and what to do.
`explorer/files.py` says it of a file that it writes; the command line and dashboard of the rest.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath

from explorer.errors import DiskError, ExplorerError, OutOfMemory

TEMPORARY = ".tmp-"  # what names begin with under which files are written
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OF_DISK = (
    *FULL,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
)  # numbers that no network gives
_REMEDIES = {
    errno.ENOSPC: "Make room or choose another place, and run the same again.",
    errno.EDQUOT: "Make room within your quota or choose another place, and run the same again.",
    errno.EFBIG: "Raise the limit (ulimit -f) or choose another place, and run the same again.",
    errno.EROFS: "That disk can only be read: choose another place.",
    errno.EACCES: "Change its permissions, or choose another place.",
    errno.EPERM: "Change its permissions, or choose another place.",
    errno.EIO: "The disk fails: look at its messages (dmesg), and choose another place.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EISDIR: "That is a folder: give the name of a file.",
    errno.ENOENT: "Correct the path, or make the folder first.",
    errno.EMFILE: "Raise the limit (ulimit -n), and run the same again.",
}
_ANY_REMEDY = "Choose another place, or mend it and run the same again."
_RUST = re.compile(r"\(os error (\d+)\)")  # of libraries that do not raise OSError
_NO_MEMORY = re.compile(
    r"out of memory|DefaultCPUAllocator|not enough memory|can't allocate memory"
    r"|(CUBLAS|CUDNN|CUSOLVER)_STATUS_ALLOC_FAILED|bad_alloc",
    re.IGNORECASE,
)
_NEEDED = re.compile(
    r"(?:allocate|malloc of size|allocating)\s+([\d.]+)\s*([KMGTPE]i?B|bytes)?", re.IGNORECASE
)
_FREE = re.compile(r"of which ([\d.]+)\s*([KMGT]i?B|bytes) is free")
_GPU = re.compile(r"\b(CUDA|HIP|MPS|XPU)\b|CUBLAS|CUDNN|CUSOLVER")
_POWERS = {unit: 1024**power for power, unit in enumerate("BKMGTPE")}


def refusal(error: BaseException) -> ExplorerError | None:
    """Return what the disk or the memory refused, as an error of ours; None if it was neither.

    An ExplorerError is returned as it is.

    >>> print(refusal(OSError(28, "No space left on device", "/dev/full")).exit_code)
    2
    >>> refusal(ZeroDivisionError()) is None
    True
    """
    if isinstance(error, ExplorerError):
        return error
    if type(error).__name__ == "BrokenProcessPool":  # not imported: it takes long
        return OutOfMemory(
            "A process that worked beside this one was ended by the system, as it does when "
            "memory runs out. What was saved before is whole. Close other programs, and run the "
            "same again."
        )
    if is_out_of_memory(error):
        return out_of_memory(error)
    if error_number(error) is None or isinstance(error, BrokenPipeError):
        return None
    named = getattr(error, "filename", None)
    if not isinstance(named, str | bytes | os.PathLike):
        return refused_file(error, None)
    return refused_file(error, FilePath(os.fsdecode(named)), what="cannot be used")


def error_number(error: BaseException) -> int | None:
    """Return the system's number of an error, of OSError or of a library that raises its own."""
    if isinstance(error, OSError):
        return error.errno
    found = _RUST.search(str(error)) if isinstance(error, Exception) else None
    return int(found[1]) if found else None


def refused_file(
    error: BaseException,
    target: FilePath | None,
    *,
    what: str = "cannot be written",
    kind: type[ExplorerError] = DiskError,
    needed: str = "",
    given_back: int = 0,
    saved: str = "",
    remedy: str | None = None,
) -> ExplorerError:
    """Return the sentence about a file that the disk refuses.

    Args:
        needed: what is to be said of the room that is needed.
        given_back: bytes of a part that is removed, so that they are free afterwards.
        saved: what was saved, as a sentence.
        remedy: what to do; None: by the reason.
    """
    number = error_number(error)
    full = number in FULL
    reason = (number and os.strerror(number)) or getattr(error, "strerror", None) or str(error)
    place = "The disk refused it" if target is None else f"{target} {what}"
    free = _free_space(target, given_back) if full and target is not None else ""
    remedy = _REMEDIES.get(number or 0, _ANY_REMEDY) if remedy is None else remedy
    parts = (f"{place}: {reason.rstrip('.')}.", needed if full else "", free, saved, remedy)
    explained = kind(" ".join(part for part in parts if part))
    if isinstance(explained, OSError):
        explained.errno, explained.strerror = number, reason
    return explained


class Unconfirmed(DiskError):
    """What was written is in its place, and the disk did not confirm its name."""


@contextmanager
def explain_failure(
    target: FilePath,
    remedy: str | None = None,
    *,
    kind: type[ExplorerError] = DiskError,
    needed: int | None = None,
    part: FilePath | None = None,
    saved: str = "",
) -> Iterator[None]:
    """Turn a failure of the disk within the block into one sentence: what failed, what is free.

    An OSError that names a file elsewhere, and any other ExplorerError, passes unchanged.

    Args:
        remedy: what was saved and what to do about it; None says it by the reason.
        kind: the class of the error.
        needed: bytes that were to be written, if known.
        part: what is written instead of `target`, and removed on failure.
        saved: what was saved, as a sentence.
    """
    try:
        yield
    except Unconfirmed as error:
        if kind is DiskError:
            raise
        raise kind(f"{error} {saved}".rstrip()) from error
    except Exception as error:
        foreign = isinstance(error, ExplorerError) and not isinstance(error, DiskError)
        of_disk = isinstance(error, OSError) or error_number(error) is not None
        if foreign or not of_disk or not _is_near(getattr(error, "filename", None), target):
            raise
        written = _size(part)
        room = f"{needed / 1e6:,.1f} MB are needed." if needed is not None else ""
        if not room and written:
            room = f"Over {written / 1e6:,.1f} MB are needed."
        raise refused_file(
            error, target, kind=kind, needed=room, given_back=written, saved=saved, remedy=remedy
        ) from error


def _size(part: FilePath | None) -> int:
    try:
        return 0 if part is None else part.stat().st_size
    except OSError:
        return 0


def _is_near(name: object, target: FilePath) -> bool:
    """Check whether an error that names this file comes from writing `target`."""
    if not isinstance(name, str | bytes | os.PathLike):
        return True  # the failure of a write or of an fsync names no file
    path = FilePath(os.path.abspath(os.fsdecode(name)))
    place = FilePath(os.path.abspath(target))
    temporary = any(part.startswith(TEMPORARY) for part in path.parts)
    return temporary or path.is_relative_to(place) or path == place.parent


def _free_space(target: FilePath, given_back: int) -> str:
    folder = next((f for f in (target, *target.absolute().parents) if f.is_dir()), FilePath("."))
    try:
        free = shutil.disk_usage(folder).free + given_back
    except OSError:
        return ""
    return f"{free / 1e6:,.1f} MB are free on its disk."


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the memory, of the machine or of an accelerator, did not suffice."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


def out_of_memory(error: BaseException, saved: str = "") -> OutOfMemory:
    """Return the sentence about memory that did not suffice.

    Args:
        saved: what was saved, and how to go on from there, as a sentence.
    """
    text = str(error)
    gpu = bool(_GPU.search(text))
    amounts = []
    if (needed := _amount(_NEEDED.search(text))) is not None:
        amounts.append(f"{needed / 1e9:,.1f} GB are needed at once")
    free = _amount(_FREE.search(text)) if gpu else _free_memory()
    if free is not None:
        amounts.append(f"{free / 1e9:,.1f} GB are free")
    said = f": {', '.join(amounts)}" if amounts else ""
    whose = "the accelerator" if gpu else "this machine"
    advice = "Ask for fewer or smaller images at once, or end other programs that hold memory."
    if gpu:
        advice += " Try a smaller --memory or image_size, or --device cpu, where there is one."
    saved = saved or "What was saved before is whole."
    return OutOfMemory(f"The memory of {whose} does not suffice{said}. {saved} {advice}")


@contextmanager
def explain_memory(saved: Callable[[], str]) -> Iterator[None]:
    """Turn memory that does not suffice within the block into an OutOfMemory.

    Args:
        saved: gives what was saved, asked when it happens.
    """
    try:
        yield
    except ExplorerError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(error, saved()) from error


def _amount(found: re.Match[str] | None) -> float | None:
    if found is None:
        return None
    unit = (found[2] or "bytes").upper()
    return float(found[1]) * (1 if unit == "BYTES" else _POWERS[unit[0]])


def _free_memory() -> float | None:
    """Return the bytes of memory that can still be had, as Linux says; None elsewhere."""
    try:
        text = FilePath("/proc/meminfo").read_text("ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return float(found[1]) * 1024 if found else None
