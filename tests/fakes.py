"""A tiny real encoder for tests that need points but no model; images, tars and adding them."""

import hashlib
import io
import os
import tarfile
from collections.abc import Sequence

import numpy as np
from PIL import Image

from explorer.encoder import Encoder
from explorer.models import Model
from explorer.points import Space

COLOUR_SPACE = Space("colours", 8, hashlib.sha256(b"colours 1").hexdigest())
_NAMES = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def pixels_of(image: Image.Image) -> np.ndarray:
    """An upright RGB image as 3 × 8 × 8 numbers from 0 to 1."""
    small = np.asarray(image.resize((8, 8), Image.Resampling.BOX), dtype=np.float32) / 255
    return small.transpose(2, 0, 1)


class ColourEncoder(Encoder):
    """Means of the three colours over the image, its left and upper half; lengths differ."""

    def __init__(self, space: Space = COLOUR_SPACE) -> None:
        self.space = space
        self.batch_size = 16
        self.images = 0  # that were embedded, so that tests can count

    @property
    def preprocess(self):
        return pixels_of

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        self.images += len(pixels)
        whole = pixels.mean(axis=(2, 3)) + 0.01
        left = pixels[:, :, :, :4].mean(axis=(2, 3))
        upper = pixels[:, :2, :4].mean(axis=(2, 3))
        return np.concatenate([whole, left, upper], axis=1).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        colours = [_NAMES.get(text, (len(text), 1, 1)) for text in texts]
        pixels = np.array(colours, dtype=np.float32)[:, :, None, None] / 255
        return self.embed_pixels(np.broadcast_to(pixels, (len(texts), 3, 8, 8)))


def coloured(space: Space = COLOUR_SPACE, name: str = "colours") -> Model:
    """A model of nothing but the colour encoder."""
    return Model(name, space, ColourEncoder(space))


def image(number: int) -> bytes:
    """A small PNG; another number, another image."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def run(library, sources, encoder, **options):
    """Add, and give the last progress."""
    return list(library.adding(sources, encoder=encoder, workers=0, **options))[-1]


def names(library):
    """The file names of a library's rows, sorted."""
    return sorted(os.path.basename(path) for path in library.rows["path"])


def names_in_order(library):
    """The file names of a library's rows, in the order of the rows."""
    return [os.path.basename(path) for path in library.rows["path"]]


def make_tar(file, members):
    """A tar of (name, content) pairs."""
    with tarfile.open(file, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
