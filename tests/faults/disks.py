"""Disks that refuse, for real: no permission, a limit of file sizes, a full one, a read-only one.

The first two need no privileges; the others mount a small tmpfs, where root may.
"""

import ctypes
import functools
import os
import resource
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

LIMIT = 10  # bytes of a file
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2  # what lets root write where permissions say no
_CAPABILITIES = 0x20080522  # version 3 of the kernel's interface


@contextmanager
def without_permission(place):
    """Take the permission to write from all folders of `place`, from root too."""
    folders = [place, *(entry for entry in place.rglob("*") if entry.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    before = _effective()
    try:
        _set_effective(before & ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH))
        yield
    finally:
        _set_effective(before)
        for folder in folders:
            with suppress(FileNotFoundError):
                folder.chmod(0o755)


@contextmanager
def with_limit(place):
    """Let the kernel refuse what makes a file larger than LIMIT (EFBIG; Python ignores XFSZ)."""
    del place
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def full(place):
    """Fill the tmpfs that `place` lies on, to the last byte."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(place):
    """Make the tmpfs at `place` read-only."""
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)


@contextmanager
def tmpfs(place, megabytes=16):
    """Mount a small disk of its own at `place`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@functools.cache
def can_mount():
    """Return whether this process may mount a tmpfs."""
    with tempfile.TemporaryDirectory() as folder:
        if (
            os.geteuid()
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True
            ).returncode
        ):
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def faults():
    """Return the ways in which a disk refuses, that can be had here: name → context manager."""
    everywhere = {"no permission": without_permission, "limit": with_limit}
    return everywhere | ({"full": full, "read-only": read_only} if can_mount() else {})


def _capabilities(call, effective=None):
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    if effective is not None:
        data[0] = effective
        if call(libc)(header, data):
            raise OSError(ctypes.get_errno(), "capset")
    return data[0]


def _effective():
    return _capabilities(None) if Path("/proc").exists() else 0


def _set_effective(capabilities):
    if Path("/proc").exists():
        _capabilities(lambda libc: libc.capset, capabilities)
