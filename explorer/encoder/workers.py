"""Workers: processes that read images for an encoder, with bounded memory.

An image that crashes its reader costs one process and one error.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from os import PathLike
from types import ModuleType

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.errors import ImageError, QueryError
from explorer.images import decode_image, full_size, name_of, read_bytes
from explorer.images.budget import share_turns
from explorer.interrupts import shielded

Source = str | bytes | PathLike[str]
"""An image file: its path (str, PathLike), or its content (bytes)."""


Preprocess = Callable[[Image.Image], Float[np.ndarray, "C H W"]]

_CHUNK_IMAGES = 16  # per task of a worker: 10 MB of pixels at 224 × 224
_MAX_ASPECT = 20  # long side to short side
_MIN_PARALLEL_IMAGES = 64  # for fewer, starting workers takes longer than reading


@dataclass(frozen=True, eq=False)
class Reading:
    """One source after reading: its pixels, or an error message."""

    name: str
    pixels: Float[np.ndarray, "C H W"] | None = None
    error: str | None = None
    sha256: str = ""
    width: int = 0
    height: int = 0
    size: int = 0


@dataclass(frozen=True)
class Read:
    """How one source is read; `enough` as for `decode_image`."""

    preprocess: Preprocess
    max_megapixels: float | None = None
    enough: int | None = None

    def __call__(self, source: Source) -> Reading:
        """Return the pixels of a source, or why there are none."""
        name, data = name_of(source), b""
        try:
            data = read_bytes(source)
            image = decode_image(data, name, self.max_megapixels, self.enough)
            width, height = full_size(image)
            read = Reading(name, self.preprocess(_middle(image)), width=width, height=height)
        except ImageError as error:
            read = Reading(name, error=str(error))
        sha256 = hashlib.sha256(data).hexdigest() if data else ""
        return replace(read, sha256=sha256, size=len(data))


def _middle(image: Image.Image) -> Image.Image:
    """Cut an extremely thin image to its middle: scaled by its short side, it would be huge."""
    width, height = image.size
    longest = _MAX_ASPECT * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def read_all(
    sources: Iterator[Source], read: Read, workers: int | None
) -> Generator[Reading, None, None]:
    """Read sources in order, in this process or in workers."""
    if workers is None:
        head = list(islice(sources, _MIN_PARALLEL_IMAGES))
        workers = 0 if len(head) < _MIN_PARALLEL_IMAGES else min(16, os.cpu_count() or 1)
        sources = chain(head, sources)
    if workers < 0:
        raise QueryError(f"workers is {workers}, but must be 0 (read in this process) or more.")
    if workers == 0 or read.preprocess.__module__ == "__main__":  # hidden from workers: see _Pool
        for source in sources:
            yield read(source)
        return
    with closing(_read_in_workers(sources, read, workers)) as readings:
        yield from readings


def _read_in_workers(
    sources: Iterator[Source], read: Read, workers: int
) -> Generator[Reading, None, None]:
    """Keep two chunks per worker in flight; yield in order."""
    waiting: deque[tuple[list[Source], Future[list[Reading]]]] = deque()
    pool = _Pool(read, workers)
    try:
        while True:
            while len(waiting) < 2 * workers and (chunk := list(islice(sources, _CHUNK_IMAGES))):
                waiting.append((chunk, pool.submit(chunk)))
            if not waiting:
                return
            chunk, future = waiting.popleft()
            try:
                readings = future.result()
            except BrokenProcessPool:
                pool.close()
                readings = _read_one_by_one(chunk, read)
                pool = _Pool(read, workers)
                waiting = deque((chunk, pool.submit(chunk)) for chunk, _ in waiting)
            yield from readings
    finally:
        pool.close()


def _read_one_by_one(chunk: list[Source], read: Read) -> list[Reading]:
    """Read a chunk with one process per failure, to find the image that crashes its reader."""
    readings = []
    pool = _Pool(read, 1)
    try:
        for source in chunk:
            try:
                readings += pool.submit([source]).result()
            except BrokenProcessPool:
                pool.close()
                pool = _Pool(read, 1)
                name = name_of(source)
                error = f"{name} cannot be read: it crashed the process that read it."
                readings.append(Reading(name, error=error))
    finally:
        pool.close()
    return readings


class _Pool:
    """Worker processes that read images.

    They are spawned, not forked: torch has started threads here, and a fork of a process with
    threads may hang. A spawned worker would run the user's script again, which then needs an
    `if __name__ == "__main__"`, so `__main__` is hidden while workers start.
    """

    _starting = threading.Lock()

    def __init__(self, read: Read, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._read = read
        self._turns = tempfile.NamedTemporaryFile(prefix="unclip-turns-")  # noqa: SIM115
        start = (_start_worker, (self._turns.name,))
        self._pool = ProcessPoolExecutor(workers, context, *start)

    def submit(self, chunk: list[Source]) -> "Future[list[Reading]]":
        with self._starting, shielded():
            main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
            try:
                return self._pool.submit(_read_chunk, chunk, self._read)
            except BrokenProcessPool as error:
                future: Future[list[Reading]] = Future()
                future.set_exception(error)
                return future
            finally:
                sys.modules["__main__"] = main

    def close(self) -> None:
        """End the workers at once, whatever they read: nothing of theirs is needed any more."""
        workers = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
        self._turns.close()


def _read_chunk(chunk: list[Source], read: Read) -> list[Reading]:
    return [read(source) for source in chunk]


def _start_worker(turns: str) -> None:
    share_turns(turns)  # one large image at a time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where it was not held back
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
