"""JSON values of a recipe: packed arrays, images and points; older formats read."""

import base64
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from explorer.images import decode_image
from explorer.points import Points, Space

FORMAT = 2
PLAIN = ("model", "decoder", "decoder_from", "way", "count", "radians", "fps", "title")
PLAIN_SETTINGS = ("steps", "guidance", "eta", "solver", "strength", "noise")


def up_to_date(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values in today's format.

    Raises:
        ValueError: they are of a format that this version does not read.
    """
    if values["unclip"] == 1:
        return up_to_date(_from_format_1(values))
    if values["unclip"] != FORMAT:
        raise ValueError(f"format {values['unclip']!r}, this version reads 1 to {FORMAT}")
    settings = values.get("settings")
    if isinstance(settings, dict) and isinstance(settings.get("options"), dict):
        # which networks take turns is the machine's affair; earlier files name it as an option
        options = {k: v for k, v in settings["options"].items() if k != "low_memory"}
        return {**values, "settings": {**settings, "options": options}}
    return values


def _from_format_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what format 1 kept as format 2 does; its oldest files have no options or images."""
    seeds = values["seeds"]
    settings = {name: values[name] for name in ("steps", "guidance", "eta", "solver")}
    stops = {"points": values["stops"], "space": values["space"], "labels": values["labels"]}
    return {
        **{name: values.get(name, "") for name in PLAIN},
        "unclip": FORMAT,
        "settings": {
            **settings,
            "strength": values.get("strength", 1.0),
            "noise": None,
            "seed": seeds[0] if len(seeds) == 1 else seeds,
            "options": values.get("options", {}),
        },
        "image": values.get("picture"),
        "mask": values.get("mask"),
        "times": values.get("times", ()),
        "keyframes": stops,
        "ends": None,
        "noise": values["noise"],
    }


def pack(array: np.ndarray, dtype: str) -> dict[str, Any]:
    """Return an array as shape and base 85, little-endian."""
    data = base64.b85encode(array.astype(f"<{np.dtype(dtype).str[1:]}").tobytes())
    return {"shape": list(array.shape), "data": data.decode()}


def unpack(packed: Mapping[str, Any], dtype: str) -> np.ndarray:
    """Read what `pack` wrote, as float32."""
    shape = packed["shape"]
    if len(packed["data"]) != -(-math.prod(shape) * np.dtype(dtype).itemsize * 5 // 4):
        raise ValueError(f"an array of shape {shape} has other data than its shape says")
    data = base64.b85decode(packed["data"])
    array = np.frombuffer(data, dtype=f"<{np.dtype(dtype).str[1:]}").reshape(shape)
    return array.astype(np.float32)


def to_plain(value: Any) -> Any:
    """Return a value as JSON: images, points and pairs of numbers in a way `from_plain` reads."""
    if isinstance(value, Image.Image):
        content = io.BytesIO()
        value.save(content, "png")
        return {"image": base64.b85encode(content.getvalue()).decode()}
    if isinstance(value, Points):
        space = [value.space.name, value.space.dimension, value.space.fingerprint]
        packed = pack(value.vectors, "float32")
        return {"points": packed, "space": space, "labels": list(value.labels), "side": value.side}
    return {"pair": list(value)} if isinstance(value, tuple) else value


def from_plain(value: Any) -> Any:
    """Read what `to_plain` wrote."""
    if not isinstance(value, dict):
        return value
    if "pair" in value:
        return tuple(value["pair"])
    if "points" in value:
        name, dimension, fingerprint = value["space"]
        space = Space(str(name), int(dimension), str(fingerprint))
        side, labels = value.get("side", "image"), value.get("labels", ())
        return Points(unpack(value["points"], "float32"), space, side, tuple(labels))
    data = value["image"] if "image" in value else value["picture"]  # as format 1 calls it
    return decode_image(base64.b85decode(data), "the image in the recipe")
