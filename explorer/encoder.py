"""Encoder: words and images become Points; batching and parallel reading are implemented here.

A model implements three things: embed a batch of texts, embed a batch of pixels, and preprocess an
image. It knows no model and no library.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
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
from explorer.images import as_rgb, decode_image, name_of, open_image, read_bytes
from explorer.points import Points, Space

Source = str | bytes | PathLike[str]
"""An image file: its path (str, PathLike), or its content (bytes)."""


@dataclass(frozen=True)
class Embedded:
    """The result for one source: a vector, or an error message."""

    index: int  # of the source, counted from 0
    vector: Float[np.ndarray, " D"] | None  # raw float32, or None
    error: str | None  # one line, or None
    sha256: str = ""  # of the file's bytes, hex
    width: int = 0  # upright, pixels
    height: int = 0
    size: int = 0  # bytes


class Encoder(ABC):
    """Interface of all encoders: words and images become raw (not normalised) Points of one Space.

    >>> import explorer
    >>> encoder = explorer.load("pocket", device="cpu").encoder
    >>> encoder.encode_text(["cat face", "dog face"]).vectors.shape
    (2, 256)
    """

    space: Space
    batch_size: int = 64

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Embed one batch of texts: raw vectors, float32."""

    @abstractmethod
    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        """Embed one batch of preprocessed images: raw vectors, float32."""

    @property
    @abstractmethod
    def preprocess(self) -> Callable[[Image.Image], Float[np.ndarray, "C H W"]]:
        """Return the function from an upright RGB image to pixels; workers need it picklable."""

    def encode_text(self, texts: Sequence[str] | str) -> Points:
        """Encode texts: one text-side point per text, with the text as its label.

        Args:
            texts: one text or several; an empty string counts as a text.

        Raises:
            QueryError: there are no texts.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts:
            raise QueryError("There are no texts to encode: pass at least one.")
        starts = range(0, len(texts), self.batch_size)
        vectors = [self.embed_texts(texts[i : i + self.batch_size]) for i in starts]
        return Points(np.concatenate(vectors), self.space, "text", tuple(texts))

    def encode_images(
        self, images: Sequence[Image.Image | Source] | Image.Image | Source
    ) -> Points:
        """Encode images: one image-side point per image, with the file name as its label.

        Args:
            images: Pillow images of any mode, files, or contents of files; one or several.

        Raises:
            QueryError: there are no images.
            ImageError: one of them cannot be read (`embed` continues instead).
        """
        if isinstance(images, Image.Image | str | bytes | PathLike):
            images = [images]
        if not len(images):
            raise QueryError("There are no images to encode: pass at least one.")
        preprocess, vectors = self.preprocess, []
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            opened = (as_rgb(i) if isinstance(i, Image.Image) else open_image(i) for i in batch)
            pixels = [preprocess(image) for image in opened]
            vectors.append(self.embed_pixels(np.stack(pixels)))
        labels = tuple(_label(image) for image in images)
        return Points(np.concatenate(vectors), self.space, "image", labels)

    def embed(self, sources: Iterable[Source], *, workers: int | None = None) -> Iterator[Embedded]:
        """Embed any number of image files; yield one result per source, in order.

        An image that cannot be read gives a result with an error. Worker processes read a bounded
        number of images at a time, so memory stays constant; closing the iterator stops them.

        Args:
            sources: files or contents of files; may be a generator.
            workers: number of processes that read; 0 reads in this process; None takes one per core
                (at most 16), or 0 for fewer than 64 images.

        Raises:
            QueryError: `workers` is negative.
        """
        readings = _read(iter(sources), self.preprocess, workers)
        batch: list[_Reading] = []
        done = 0
        try:
            for reading in readings:
                batch.append(reading)
                if len(batch) == self.batch_size:
                    yield from self._embed_batch(batch, done)
                    done, batch = done + len(batch), []
            if batch:
                yield from self._embed_batch(batch, done)
        finally:
            readings.close()

    def _embed_batch(self, batch: "list[_Reading]", first: int) -> Iterator[Embedded]:
        pixels = [reading.pixels for reading in batch if reading.pixels is not None]
        vectors = iter(self.embed_pixels(np.stack(pixels)) if pixels else ())
        for index, reading in enumerate(batch, start=first):
            vector, error = None, reading.error
            if reading.pixels is not None:
                vector = np.asarray(next(vectors), dtype=np.float32)
                if not np.isfinite(vector).all() or not vector.any():
                    vector, error = None, f"{reading.name} has a zero or NaN vector."
            yield Embedded(
                index, vector, error, reading.sha256, reading.width, reading.height, reading.size
            )


Preprocess = Callable[[Image.Image], Float[np.ndarray, "C H W"]]

_CHUNK_IMAGES = 16  # per task of a worker: 10 MB of pixels at 224 × 224
_MIN_PARALLEL_IMAGES = 64  # for fewer, starting workers takes longer than reading


@dataclass(frozen=True, eq=False)
class _Reading:
    """One source after reading: its pixels, or an error message."""

    name: str
    pixels: Float[np.ndarray, "C H W"] | None = None
    error: str | None = None
    sha256: str = ""
    width: int = 0
    height: int = 0
    size: int = 0


def _label(image: Image.Image | Source) -> str:
    if isinstance(image, Image.Image | bytes):
        return ""
    return name_of(os.path.basename(os.fspath(image)))


def _read_one(source: Source, preprocess: Preprocess) -> _Reading:
    name, data = name_of(source), b""
    try:
        data = read_bytes(source)
        image = decode_image(data, name)
        read = _Reading(name, preprocess(image), width=image.width, height=image.height)
    except ImageError as error:
        read = _Reading(name, error=str(error))
    sha256 = hashlib.sha256(data).hexdigest() if data else ""
    return replace(read, sha256=sha256, size=len(data))


def _read(
    sources: Iterator[Source], preprocess: Preprocess, workers: int | None
) -> Generator[_Reading, None, None]:
    """Read sources in order, in this process or in workers."""
    if workers is None:
        head = list(islice(sources, _MIN_PARALLEL_IMAGES))
        workers = 0 if len(head) < _MIN_PARALLEL_IMAGES else min(16, os.cpu_count() or 1)
        sources = chain(head, sources)
    if workers < 0:
        raise QueryError(f"workers is {workers}, but must be 0 (read in this process) or more.")
    if workers == 0 or preprocess.__module__ == "__main__":  # hidden from workers: see _Pool
        for source in sources:
            yield _read_one(source, preprocess)
        return
    with closing(_read_in_workers(sources, preprocess, workers)) as readings:
        yield from readings


def _read_in_workers(
    sources: Iterator[Source], preprocess: Preprocess, workers: int
) -> Generator[_Reading, None, None]:
    """Keep two chunks per worker in flight; yield in order."""
    waiting: deque[tuple[list[Source], Future[list[_Reading]]]] = deque()
    pool = _Pool(preprocess, workers)
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
                readings = _read_one_by_one(chunk, preprocess)
                pool = _Pool(preprocess, workers)
                waiting = deque((chunk, pool.submit(chunk)) for chunk, _ in waiting)
            yield from readings
    finally:
        pool.close()


def _read_one_by_one(chunk: list[Source], preprocess: Preprocess) -> list[_Reading]:
    """Read a chunk with one process per failure, to find the image that crashes its reader."""
    readings = []
    pool = _Pool(preprocess, 1)
    try:
        for source in chunk:
            try:
                readings += pool.submit([source]).result()
            except BrokenProcessPool:
                pool.close()
                pool = _Pool(preprocess, 1)
                name = name_of(source)
                error = f"{name} cannot be read: it crashed the process that read it."
                readings.append(_Reading(name, error=error))
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

    def __init__(self, preprocess: Preprocess, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._preprocess = preprocess
        self._pool = ProcessPoolExecutor(workers, context, _start_worker)

    def submit(self, chunk: list[Source]) -> "Future[list[_Reading]]":
        with self._starting:
            main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
            try:
                return self._pool.submit(_read_chunk, chunk, self._preprocess)
            except BrokenProcessPool as error:
                future: Future[list[_Reading]] = Future()
                future.set_exception(error)
                return future
            finally:
                sys.modules["__main__"] = main

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _read_chunk(chunk: list[Source], preprocess: Preprocess) -> list[_Reading]:
    return [_read_one(source, preprocess) for source in chunk]


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
