"""The power fails while `unclip index` writes to an ext4 disk of its own; root only.

The disk is a file, mounted as a loop. FS_IOC_SHUTDOWN without a flush of the journal drops all
that is not on it, as a power cut does; sectors are not torn.
"""

import contextlib
import fcntl
import os
import random
import struct
import subprocess
from pathlib import Path

from kills import Disturbed, undisturbed
from table import Skipped

FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
MEGABYTES = 64


def _run(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True)


class Disk:
    """An ext4 disk in a file, mounted at `place`."""

    def __init__(self, place):
        self.place, self.file = place / "disk", place / "disk.img"
        self.place.mkdir()
        with self.file.open("wb") as file:
            file.truncate(MEGABYTES * 10**6)
        if os.geteuid():
            raise Skipped("only root may mount a disk")
        for done in (_run("mkfs.ext4", "-q", self.file), self.mount()):
            if done.returncode:
                raise Skipped(f"no ext4 disk can be mounted here: {done.stderr.strip()}")

    def mount(self):
        return _run("mount", "-o", "loop,commit=1", self.file, self.place)

    def cut(self):
        """Drop what is not on the disk yet, and refuse all that follows."""
        folder = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def start_again(self):
        for done in (_run("umount", self.place), self.mount()):
            assert done.returncode == 0, done.stderr

    def close(self):
        _run("umount", self.place)


def run(count, seed=0):
    """Cut the power of `count` runs; every library is indexed on by the next."""
    chance = random.Random(seed)
    with undisturbed() as (images, truth, seconds), contextlib.ExitStack() as stack:
        disk = Disk(images.parent)
        stack.callback(disk.close)
        library = Path(disk.place) / "cut.lib"
        cut = Disturbed(images, library, truth)

        def disturb(copy):
            disk.cut()
            copy.kill()

        while cut.counts["disturbed"] < count and cut.has_time:
            acknowledged = cut.once(chance, seconds, disturb)
            disk.start_again()
            cut.check(acknowledged)
        cut.finish()
    yield cut.row("power cut of index, ext4")
