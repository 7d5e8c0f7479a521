"""Brush: a mask drawn by hand on an image, as strokes that fit into an address."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path as FilePath
from typing import Any

import streamlit as st
from PIL import Image, ImageDraw

from explorer.app.server.media import image_address

HERE = FilePath(__file__).parent
CANVAS_SIDE = 840  # pixels of the longer side that the browser gets
MAX_STROKE_PLACES = 1000  # of all strokes; what is drawn later is dropped


@dataclass(frozen=True)
class Stroke:
    """One movement of the brush.

    Args:
        size: the brush's width, as a part of the image's.
        places: where it went, x and y as parts of the image's width and height.
    """

    size: float
    places: tuple[tuple[float, float], ...]


def brush(
    image: Image.Image, strokes: Sequence[Stroke], size: float, *, key: str
) -> list[Stroke] | None:
    """Show the image with the strokes, to draw more; all of them, just after one was drawn."""
    mounted = st.components.v2.component(
        "unclip-brush",
        html='<div class="brush"><img alt=""><canvas tabindex="0" role="application"></canvas>'
        "<span></span></div>",
        css=(HERE / "brush.css").read_text("utf-8"),
        js=(HERE / "brush.js").read_text("utf-8"),
    )
    shown = image.copy()
    shown.thumbnail((CANVAS_SIDE, CANVAS_SIDE))
    data = {
        "name": "Mask. Arrow keys move the brush, space draws.",
        "image": image_address(shown, key),
        "width": shown.width,
        "height": shown.height,
        "strokes": [asdict(stroke) for stroke in strokes],
        "size": size,
    }
    told = mounted(key=key, data=data, on_strokes_change=lambda: None).strokes
    return None if told is None else _told(told)


def drawn(strokes: Sequence[Stroke], size: tuple[int, int]) -> Image.Image:
    """Return the mask that the strokes draw on an image of that size: white where they went.

    >>> mask = drawn([Stroke(0.5, ((0.5, 0.5),))], (8, 8))
    >>> mask.getpixel((4, 4)), mask.getpixel((0, 0))
    (255, 0)
    """
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for stroke in strokes:
        radius = stroke.size * size[0] / 2
        places = [(x * size[0], y * size[1]) for x, y in stroke.places]
        if len(places) > 1:
            draw.line(places, 255, max(1, round(2 * radius)))
        for place in places:
            draw.circle(place, radius, 255)
    return mask


def to_text(strokes: Sequence[Stroke]) -> str:
    """Return strokes as an address holds them, in thousandths; `from_text` reads them.

    >>> to_text([Stroke(0.1, ((0.5, 0.25), (0.75, 1.0)))])
    '100:500,250,750,1000'
    """
    return ";".join(
        f"{round(stroke.size * 1000)}:"
        + ",".join(f"{round(value * 1000)}" for place in stroke.places for value in place)
        for stroke in strokes
    )


def from_text(text: str) -> list[Stroke]:
    """Read strokes from an address; none where it makes no sense.

    >>> from_text("100:500,250,750,1000")
    [Stroke(size=0.1, places=((0.5, 0.25), (0.75, 1.0)))]
    >>> from_text("100:500"), from_text("x"), from_text("")
    ([], [], [])
    """
    try:
        parts = [part.split(":") for part in text.split(";")]
        told = [
            {"size": int(size) / 1000, "places": _pairs([int(v) / 1000 for v in values.split(",")])}
            for size, values in parts
        ]
    except ValueError:
        return []
    return _told(told)


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _told(told: Any) -> list[Stroke]:
    """Read strokes as a browser or an address tells them; none if one makes no sense."""
    try:
        strokes = [
            Stroke(float(each["size"]), tuple((float(x), float(y)) for x, y in each["places"]))
            for each in told
        ]
    except (KeyError, TypeError, ValueError):
        return []
    values = [v for each in strokes for place in (*each.places, (each.size, 0)) for v in place]
    if not all(0 <= value <= 1 for value in values) or not all(each.places for each in strokes):
        return []
    counts = accumulate(len(each.places) for each in strokes)
    return [each for each, count in zip(strokes, counts, strict=True) if count <= MAX_STROKE_PLACES]
