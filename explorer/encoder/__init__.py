"""Encoder: words and images become Points; batching and parallel reading are implemented here.

A model implements three things: embed a batch of texts, embed a batch of pixels, and preprocess an
image. It knows no model and no library.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.device import Device, in_turn
from explorer.device.batches import Batches
from explorer.encoder.workers import Read, Reading, Source, read_all
from explorer.errors import QueryError, WeightsMissing
from explorer.images import as_rgb, decode_image, name_of, read_bytes
from explorer.points import Points, Space

__all__ = ["Embedded", "Encoder", "Source"]


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
    on: Device | None = None  # where its networks lie; None: it places them itself
    side: int | None = None  # pixels of the longer side that its network sees, if it has one size

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

    @property
    def whole(self) -> "Encoder":
        """The model's own encoder: this one, unless it stands for a model that is not loaded."""
        return self

    @property
    def _enough(self) -> int | None:
        """Pixels of an image's shorter side that suffice: twice those that the network sees."""
        return None if self.side is None else 2 * self.side

    def encode_text(self, texts: Sequence[str] | str) -> Points:
        """Encode texts: one text-side point per text, with the text as its label.

        Args:
            texts: one text or several; an empty string counts as a text.

        Raises:
            QueryError: there are no texts.
            WeightsMissing: the text tower gives no numbers: its weights are damaged.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts:
            raise QueryError("There are no texts to encode: pass at least one.")
        runs = Batches(self.batch_size).run(len(texts), lambda rows: self._texts(texts[rows]))
        vectors = np.concatenate(list(runs))
        self._check_finite(vectors, "text")
        return Points(vectors, self.space, "text", tuple(texts))

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
        preprocess, vectors, sized = self.preprocess, [], Batches(self.batch_size)
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            pixels = [preprocess(self._opened(image)) for image in batch]
            vectors += self._pixels(np.stack(pixels), sized)
        labels = tuple(_label(image) for image in images)
        points = np.concatenate(vectors)
        self._check_finite(points, "image")
        return Points(points, self.space, "image", labels)

    def _opened(self, image: Image.Image | Source) -> Image.Image:
        if isinstance(image, Image.Image):
            return as_rgb(image)
        return decode_image(read_bytes(image), name_of(image), enough=self._enough)

    def _check_finite(self, vectors: Float[np.ndarray, "N D"], tower: str) -> None:
        """Refuse what damaged weights give.

        Raises:
            WeightsMissing: a vector is zero, or holds values that are not numbers.
        """
        norms = np.linalg.norm(vectors, axis=1)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise WeightsMissing(
                f"The {tower} tower of {self.space.name} gives vectors that are zero or no "
                "numbers, so its weights are damaged. Take them from their source again."
            )

    def embed(
        self,
        sources: Iterable[Source],
        *,
        workers: int | None = None,
        max_megapixels: float | None = None,
    ) -> Iterator[Embedded]:
        """Embed any number of image files; yield one result per source, in order.

        An image that cannot be read gives a result with an error. Worker processes read a bounded
        number of images at a time, so memory stays constant; closing the iterator stops them.

        Args:
            sources: files or contents of files; may be a generator.
            workers: number of processes that read; 0 reads in this process; None takes one per core
                (at most 16), or 0 for fewer than 64 images.
            max_megapixels: as for `open_image`.

        Raises:
            QueryError: `workers` is negative.
        """
        readings = read_all(
            iter(sources), Read(self.preprocess, max_megapixels, self._enough), workers
        )
        batch: list[Reading] = []
        done, sized = 0, Batches(self.batch_size)
        try:
            for reading in readings:
                batch.append(reading)
                if len(batch) == self.batch_size:
                    yield from self._embed_batch(batch, done, sized)
                    done, batch = done + len(batch), []
            if batch:
                yield from self._embed_batch(batch, done, sized)
        finally:
            readings.close()

    def _texts(self, texts: list[str]) -> Float[np.ndarray, "N D"]:
        with in_turn(self.on):
            return self.embed_texts(texts)

    def _pixels(
        self, pixels: Float[np.ndarray, "N C H W"], sized: Batches
    ) -> list[Float[np.ndarray, "n D"]]:
        """Embed preprocessed images, as many at once as the memory holds."""

        def embed(rows: slice) -> Float[np.ndarray, "n D"]:
            with in_turn(self.on):
                return self.embed_pixels(pixels[rows])

        sized.size = min(sized.size, self.rows_at_once(pixels))
        return list(sized.run(len(pixels), embed))

    def rows_at_once(self, pixels: Float[np.ndarray, "N C H W"]) -> int:  # noqa: ARG002
        """Return how many preprocessed images one batch may have; `batch_size` or fewer."""
        return self.batch_size

    def _embed_batch(self, batch: list[Reading], first: int, sized: Batches) -> Iterator[Embedded]:
        pixels = [reading.pixels for reading in batch if reading.pixels is not None]
        vectors = iter(np.concatenate(self._pixels(np.stack(pixels), sized)) if pixels else ())
        for index, reading in enumerate(batch, start=first):
            vector, error = None, reading.error
            if reading.pixels is not None:
                vector = np.asarray(next(vectors), dtype=np.float32)
                if not np.isfinite(vector).all() or not vector.any():
                    vector, error = None, f"{reading.name} has a zero or NaN vector."
            yield Embedded(
                index, vector, error, reading.sha256, reading.width, reading.height, reading.size
            )


def _label(image: Image.Image | Source) -> str:
    if isinstance(image, Image.Image | bytes):
        return ""
    return name_of(os.path.basename(os.fspath(image)))
