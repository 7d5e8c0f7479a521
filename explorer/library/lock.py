"""One writer at a time; readers need no lock.

The lock is the kernel's (flock), so it ends with the process that holds it, even one that is
killed. Some network file systems (NFS before version 4, some SMB) do not honour it: write from one
machine there.
"""

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path as FilePath
from types import TracebackType
from typing import Self

from explorer.errors import LibraryLocked
from explorer.refusals import explain_failure


class WriterLock:
    """Hold the writer's lock of a library folder within a `with` block.

    Raises:
        LibraryLocked: another writer holds it; the message names its process and machine.
        DiskError: the folder cannot be written.
    """

    def __init__(self, folder: FilePath) -> None:
        self._file = folder / "lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        with explain_failure(self._file.parent):
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 1000).decode(errors="replace").strip()
            os.close(descriptor)
            pid, _, host = holder.partition("@")
            raise LibraryLocked(
                f"The library {self._file.parent} is being written by pid {pid or '?'} on "
                f"{host or 'an unknown machine'}. Wait until it has finished, or end that process."
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        with suppress(OSError):  # on a full disk the lock holds too, without its holder's name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}@{socket.gethostname()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
