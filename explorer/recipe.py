"""Recipe: all that a written image or video was made from, so that it can be made again.

Points go in exactly; so do inverted noise and the images that were edited. It knows no files, no
words and no library.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.decoder import Decoder
from explorer.errors import ExplorerError, QueryError, WeightsMissing
from explorer.geometry import angle
from explorer.noise import Noise
from explorer.path import Path
from explorer.points import Points
from explorer.recipe_checks import LIMIT, check_fields
from explorer.recipe_values import (
    FORMAT,
    PLAIN,
    PLAIN_SETTINGS,
    from_plain,
    pack,
    to_plain,
    unpack,
    up_to_date,
)
from explorer.settings import Settings

_FORGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
Way = Literal["points", "rotate", "through"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """What `decode` needs besides the decoder itself.

    Args:
        model: the name that `load` knows the points' encoder by.
        decoder: the decoder's fingerprint.
        way: decode the keyframes as they are ("points"), rotate the first towards the second by
            `radians` ("rotate"), or visit them all ("through").
        keyframes: points of the image side; with "rotate", the start and the direction.
        count: the number of frames; with "points", that of the keyframes.
        settings: complete, as `Decoder.resolve` returns them.
        noise: None (drawn from the seeds), one row for all frames, or for "through" one row a
            keyframe, which are interpolated as the points are.
        title: what was asked for, in words.
        decoder_from: the folder or the name that the decoder came from, if not the model's own.
        image: what every frame starts from: redrawn, or with a mask in-painted.
        mask: of the image's size; white is replaced.
        times: of each frame on the path, from 0 to 1; empty spreads them equally.
        ends: two points that frames are compared with, or None.
    """

    model: str
    decoder: str
    way: Way
    keyframes: Points
    count: int
    settings: Settings
    noise: Noise | None = None
    radians: float = 0.0
    fps: float = 24.0
    title: str = ""
    decoder_from: str = ""
    image: Image.Image | None = None
    mask: Image.Image | None = None
    times: tuple[float, ...] = ()
    ends: Points | None = None

    @property
    def points(self) -> Points:
        """The N points that are decoded, one a frame."""
        if self.way == "points":
            return self.keyframes
        if self.way == "rotate":
            start, direction = self.keyframes[0], self.keyframes[1]
            path = Path.rotate(start, direction, radians=self.radians)
        else:
            path = Path.through(self.keyframes)
        if not self.times:
            return path.sample(self.count)
        return Points.concat([path.at(t) for t in self.times])

    @property
    def frame_times(self) -> Float[np.ndarray, " T"]:
        """When each frame on the path is seen, from 0 to 1."""
        return np.array(self.times) if self.times else np.linspace(0, 1, self.count)

    def decode(self, decoder: Decoder) -> Iterator[Image.Image]:
        """Yield every frame, in order.

        Raises:
            WeightsMissing: these are other weights than those of the recipe.
        """
        changed = decoder.with_options(**self.settings.options)
        if changed.fingerprint != self.decoder:
            place = f" It came from {self.decoder_from}." if self.decoder_from else ""
            raise WeightsMissing(
                f"This was made by a decoder with the fingerprint {self.decoder[:12]}, but the one "
                f"at hand has {changed.fingerprint[:12]}. Load the weights that made it.{place}"
            )
        if self.image is None:
            return decoder.decode(self.points, self.settings, self._noise_of_frames())
        if self.mask is None:
            return decoder.redraw([self.image], self.points, self.settings)
        return decoder.inpaint([self.image], [self.mask], self.points, self.settings)

    def _noise_of_frames(self) -> Noise | None:
        """One row for all, or one a frame, interpolated with the points (the paper's option A)."""
        if self.noise is None or len(self.noise) == 1 or self.way == "points":
            return self.noise
        legs = angle(self.keyframes[:-1], self.keyframes[1:])
        times = np.concatenate([[0.0], np.cumsum(legs if legs.any() else np.ones_like(legs))])
        times /= times[-1]
        places = np.interp(self.frame_times, times, np.arange(len(times)))
        rows = []
        for place in places:
            leg = min(int(place), len(legs) - 1)
            rows.append(Noise.slerp(self.noise[leg], self.noise[leg + 1], float(place - leg)))
        return Noise.concat(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; `from_dict` reads them."""
        settings = self.settings
        return {
            "unclip": FORMAT,
            **{name: getattr(self, name) for name in PLAIN},
            "settings": {
                **{name: getattr(settings, name) for name in PLAIN_SETTINGS},
                "seed": settings.seed if isinstance(settings.seed, int) else list(settings.seed),
                "options": {name: to_plain(value) for name, value in settings.options.items()},
            },
            "image": to_plain(self.image),
            "mask": to_plain(self.mask),
            "times": list(self.times),
            "keyframes": to_plain(self.keyframes),
            "ends": to_plain(self.ends),
            "noise": None if self.noise is None else pack(self.noise.latents, "float16"),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], limit: float = LIMIT) -> "Recipe":
        """Read what `to_dict` wrote, of this format or an older one.

        Args:
            limit: frames × steps × megapixels that it may ask for.

        Raises:
            QueryError: these are not the values of a recipe that this version reads.
        """
        try:
            values = up_to_date(values)
            check_fields(values, limit)
            noise, mask = values["noise"], from_plain(values["mask"])
            return cls(
                **{name: values[name] for name in PLAIN},
                settings=_settings(values["settings"]),
                image=from_plain(values["image"]),
                mask=mask and mask.convert("L"),
                times=tuple(values["times"]),
                keyframes=from_plain(values["keyframes"]),
                ends=from_plain(values["ends"]),
                noise=None if noise is None else Noise(unpack(noise, "float16")),
            )
        except (*_FORGED, ExplorerError) as error:
            raise QueryError(
                f"The recipe in this file cannot be used ({error}). Only images and videos that "
                "unclip wrote, and that no other program changed since, can be replayed."
            ) from error


def _settings(values: Mapping[str, Any]) -> Settings:
    seed = values["seed"]
    return Settings(
        **{name: values[name] for name in PLAIN_SETTINGS},
        seed=seed if isinstance(seed, int) else tuple(seed),
        options={name: from_plain(value) for name, value in values["options"].items()},
    )


def storable(noise: Noise) -> Noise:
    """Round noise to what a recipe keeps, so that a replay starts from the same bits."""
    return Noise(noise.latents.astype(np.float16).astype(np.float32))
