"""Recipe: all that a written image or video was made from, so that it can be made again.

Points go in as they are, exactly; so do inverted noise, and images that were painted on. It knows
no files, no words, no library.
"""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.decoder import Decoder
from explorer.errors import QueryError, WeightsMissing
from explorer.geometry import angle
from explorer.images import decode_image
from explorer.noise import Noise
from explorer.path import Path
from explorer.points import Points, Space
from explorer.sampler import Solver

Way = Literal["points", "rotate", "through"]
FORMAT = 1
PLAIN = (
    *("model", "decoder", "way", "count", "steps", "guidance", "eta", "solver"),
    *("radians", "fps", "title"),
)
SETTINGS = ("steps", "guidance", "eta", "solver")


@dataclass(frozen=True, eq=False)
class Recipe:
    """What `frames` needs besides the decoder itself.

    Args:
        model: the name that `load` knows the points' encoder by.
        decoder: the decoder's fingerprint.
        decoder_from: the folder or the name that the decoder came from, if not the model's own.
        way: decode the stops as they are ("points"), turn the first towards the second by
            `radians` ("rotate"), or visit them all ("through").
        stops: points of the image side; with "rotate", the start and the direction.
        count: how many frames; with "points", as many as there are stops.
        noise: None (drawn from the seeds), one row for all frames, or for "through" one row a
            stop, which turn into each other as the points do.
        seeds: one for all frames, or one a frame.
        title: what was asked for, in words.
        options: of the decoder, beside its points: see `Decoder.with_options`.
        image: what every frame starts from: redrawn, or with a mask in-painted.
        mask: of the image's size; white is painted anew.
        strength: how much of the image is redrawn.
        times: when each frame on the way is seen, from 0 to 1; empty spreads them equally.
    """

    model: str
    decoder: str
    way: Way
    stops: Points
    count: int
    steps: int
    guidance: float
    eta: float
    solver: Solver
    seeds: tuple[int, ...] = (0,)
    noise: Noise | None = None
    radians: float = 0.0
    fps: float = 24.0
    title: str = ""
    decoder_from: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    image: Image.Image | None = None
    mask: Image.Image | None = None
    strength: float = 1.0
    times: tuple[float, ...] = ()

    @property
    def points(self) -> Points:
        """The N points that are decoded, one a frame."""
        if self.way == "points":
            return self.stops
        if self.way == "rotate":
            path = Path.rotate(self.stops[0], self.stops[1], radians=self.radians)
        else:
            path = Path.through(self.stops)
        if not self.times:
            return path.sample(self.count)
        return Points.concat([path.at(t) for t in self.times])

    @property
    def moments(self) -> Float[np.ndarray, " T"]:
        """When each frame on the way is seen, from 0 to 1."""
        return np.array(self.times) if self.times else np.linspace(0, 1, self.count)

    def frames(self, decoder: Decoder) -> Iterator[Image.Image]:
        """Decode every frame, in order.

        Raises:
            WeightsMissing: these are other weights than those of the recipe.
        """
        decoder = decoder.with_options(**self.options)
        if decoder.fingerprint != self.decoder:
            place = f" It came from {self.decoder_from}." if self.decoder_from else ""
            raise WeightsMissing(
                f"This was made by a decoder with the fingerprint {self.decoder[:12]}, but the one "
                f"at hand has {decoder.fingerprint[:12]}. Load the weights that made it.{place}"
            )
        settings: dict[str, Any] = {name: getattr(self, name) for name in SETTINGS}
        settings["seed"] = self.seeds[0] if len(self.seeds) == 1 else self.seeds
        if self.image is None:
            return decoder.decode(self.points, noise=self._noise_of_frames(), **settings)
        if self.mask is None:
            settings["strength"] = self.strength
            return decoder.redraw([self.image], self.points, **settings)
        return decoder.inpaint([self.image], [self.mask], self.points, **settings)

    def _noise_of_frames(self) -> Noise | None:
        """One row for all, or one a frame, turned along with the points (the paper's option A)."""
        if self.noise is None or len(self.noise) == 1 or self.way == "points":
            return self.noise
        legs = angle(self.stops[:-1], self.stops[1:])
        times = np.concatenate([[0.0], np.cumsum(legs if legs.any() else np.ones_like(legs))])
        times /= times[-1]
        places = np.interp(self.moments, times, np.arange(len(times)))
        rows = []
        for place in places:
            leg = min(int(place), len(legs) - 1)
            rows.append(Noise.slerp(self.noise[leg], self.noise[leg + 1], float(place - leg)))
        return Noise.concat(rows)

    def to_dict(self) -> dict[str, Any]:
        """Give JSON values; `from_dict` reads them."""
        space = self.stops.space
        return {
            "unclip": FORMAT,
            **{name: getattr(self, name) for name in PLAIN},
            "decoder_from": self.decoder_from,
            "options": {name: _plain(value) for name, value in self.options.items()},
            "image": _plain(self.image),
            "mask": _plain(self.mask),
            "strength": self.strength,
            "times": list(self.times),
            "seeds": list(self.seeds),
            "space": [space.name, space.dimension, space.fingerprint],
            "labels": list(self.stops.labels),
            "stops": _pack(self.stops.vectors, "float32"),
            "noise": None if self.noise is None else _pack(self.noise.latents, "float16"),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Read what `to_dict` wrote.

        Raises:
            QueryError: these are not the values of a recipe of this version.
        """
        try:
            if values["unclip"] != FORMAT:
                raise ValueError(f"format {values['unclip']!r}, this version reads {FORMAT}")
            name, dimension, fingerprint = values["space"]
            space = Space(str(name), int(dimension), str(fingerprint))
            stops = Points(_unpack(values["stops"], "float32"), space, "image", values["labels"])
            noise = values["noise"]
            # older files have none of these six
            options, mask = values.get("options", {}), _valued(values.get("mask"))
            return cls(
                **{name: values[name] for name in PLAIN},
                decoder_from=values.get("decoder_from", ""),
                options={name: _valued(value) for name, value in options.items()},
                image=_valued(values.get("image", values.get("picture"))),
                mask=mask and mask.convert("L"),
                strength=values.get("strength", 1.0),
                times=tuple(values.get("times", ())),
                stops=stops,
                seeds=tuple(values["seeds"]),
                noise=None if noise is None else Noise(_unpack(noise, "float16")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise QueryError(
                f"The recipe in this file cannot be used ({error}). Only images and videos that "
                "unclip wrote, and that no other program changed since, can be replayed."
            ) from error


def storable(noise: Noise) -> Noise:
    """Round noise to what a recipe keeps, so that a replay starts from the same bits."""
    return Noise(noise.latents.astype(np.float16).astype(np.float32))


def _pack(array: np.ndarray, dtype: str) -> dict[str, Any]:
    data = base64.b85encode(array.astype(f"<{np.dtype(dtype).str[1:]}").tobytes())
    return {"shape": list(array.shape), "data": data.decode()}


def _unpack(packed: dict[str, Any], dtype: str) -> np.ndarray:
    data = base64.b85decode(packed["data"])
    array = np.frombuffer(data, dtype=f"<{np.dtype(dtype).str[1:]}").reshape(packed["shape"])
    return array.astype(np.float32)


def _plain(value: Any) -> Any:
    """A value as JSON: images, points and pairs of numbers in a way that `_valued` reads."""
    if isinstance(value, Image.Image):
        content = io.BytesIO()
        value.save(content, "png")
        return {"image": base64.b85encode(content.getvalue()).decode()}
    if isinstance(value, Points):
        space = [value.space.name, value.space.dimension, value.space.fingerprint]
        return {"points": _pack(value.vectors, "float32"), "space": space}
    return {"pair": list(value)} if isinstance(value, tuple) else value


def _valued(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "pair" in value:
        return tuple(value["pair"])
    if "points" in value:
        return Points(_unpack(value["points"], "float32"), Space(*value["space"]), "image")
    data = value.get("image") or value["picture"]  # as older files call it
    return decode_image(base64.b85decode(data), "the image in the recipe")
