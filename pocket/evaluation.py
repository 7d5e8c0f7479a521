"""What is evaluated of pocket: a model, all drawings, and the held-out ones that are decoded."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Int
from PIL import Image

from explorer.cache_files import find_cache, write_cache
from explorer.decoder import Decoder
from explorer.models import Model
from explorer.points import Points
from explorer.prior import Prior
from explorer.settings import Settings
from pocket.data import Images


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is evaluated: one model, on all images, some held-out ones of which are decoded.

    Args:
        cache: folder that keeps the points of all images, which take minutes.
    """

    model: Model
    images: Images
    count: int
    seed: int
    cache: FilePath | None = None

    @property
    def prior(self) -> Prior:
        """The model's prior."""
        assert self.model.prior is not None
        return self.model.prior

    @property
    def decoder(self) -> Decoder:
        """The model's decoder."""
        assert self.model.decoder is not None
        return self.model.decoder

    @cached_property
    def points(self) -> Points:
        """The points of all images."""
        space, count = self.model.space, len(self.images)
        file = self.cache and self.cache / f"points-{space.fingerprint[:8]}.cache"
        key = f"{space.fingerprint} {hashlib.sha256(self.images.pixels.tobytes()).hexdigest()}"
        if file and (stored := find_cache(file, key)):
            vectors = np.frombuffer(stored, np.float32).reshape(count, -1)
            return Points(vectors, space, "image", ("image",) * count)
        points = self.model.encoder.encode_images(list(map(Image.fromarray, self.images.pixels)))
        if file:
            write_cache(file, key, points.vectors.astype(np.float32).tobytes())
        return points

    def of(self, rows: Int[np.ndarray, " N"] | list[int]) -> Points:
        """The points of some images, without those of all others."""
        if "points" in vars(self):
            return self.points[rows]
        pixels = self.images.pixels[rows]
        return self.model.encoder.encode_images(list(map(Image.fromarray, pixels)))

    @cached_property
    def held(self) -> Int[np.ndarray, " H"]:
        """The rows of the held-out images."""
        return np.flatnonzero(self.images.held_out)

    @cached_property
    def captions(self) -> Points:
        """The text points of the held-out images' captions, "name, style"."""
        return self.model.encoder.encode_text([self.images.caption(row) for row in self.held])

    @cached_property
    def drawn(self) -> Int[np.ndarray, " N"]:
        """The held-out images that are decoded, as positions in `held`."""
        some = np.random.default_rng(self.seed).permutation(len(self.held))
        return some[: self.count]

    @cached_property
    def asked(self) -> Points:
        """The points of the images drawn."""
        return self.points[self.held[self.drawn]]

    def seen(self, points: Points, **options: Any) -> Points:
        """Decode points, at the defaults but for the options, and encode the images."""
        return self.model.encoder.encode_images(
            list(self.decoder.decode(points, Settings(**options)))
        )
