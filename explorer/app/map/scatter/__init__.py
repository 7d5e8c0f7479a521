"""The map as a Streamlit component: points to pan, hover, click, lasso and draw on.

`scatter(scene)` draws with regl-scatterplot in the browser (`source/`, built into `bundle.js` by
`make frontend`). What is large goes by reference: places and colours are fetched once from their
own addresses, so that a rerun sends none of them again; thumbnails are asked for one by one.
"""

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Any, Literal

import numpy as np
import streamlit as st
from jaxtyping import Bool, Float

from explorer.app.server.media import address
from explorer.projection.colours import Colours

HERE = FilePath(__file__).parent
_BINARY = "application/octet-stream"


@dataclass(frozen=True)
class Mark:
    """Something placed on the map: a search result, words, a click, a place of a path.

    Args:
        radius: of the crowd that a label names, in the map's units; 0: it is always shown.
        level: of that crowd, 0 the coarsest; finer ones are named when one is near.
    """

    x: float
    y: float
    kind: Literal["hit", "words", "place", "label"]
    text: str = ""
    radius: float = 0.0
    level: int = 0


@dataclass(frozen=True)
class Atlas:
    """Small images of all rows on sheets of 8 × 8 tiles of 64 pixels.

    Args:
        sheets: address of a sheet, with "{sheet}" for its number.
        order: the rows in the order of their tiles, uint32.
    """

    sheets: str
    order: np.ndarray


@dataclass(frozen=True)
class Ground:
    """An image that lies under the points.

    Args:
        image: bytes of a PNG or WebP.
        box: left, bottom, right and top on the map.
    """

    image: bytes
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a map shows.

    Args:
        xy: N places in the map's own units.
        name: what it is, for those who cannot see it.
        height: pixels of the map, fewer where the page is narrower; 0: it fills the window.
        selected: per point whether it keeps its colour, bool; None: all do.
        path, lasso: the drawn line and the drawn border, as places.
        thumbnails: address of the image of a row, with "{row}" for its number; `captions` the
            same for its words. Empty: none.
        atlas: the same images on sheets, which many of them are drawn from.
        pictures: whether points are images: once there is room for them, always, or never.
        density: whether bands under the points show how crowded they are.
        remembers: whether the address keeps which part is looked at; one map of a page can.
        tools: what is offered besides the zoom; alone, "look" needs no button.
        avoid: CSS selector of what floats over the map, where no label is to be written.
    """

    xy: Float[np.ndarray, "N 2"]
    name: str = "Map"
    colours: Colours | None = None
    marks: Sequence[Mark] = ()
    path: Sequence[tuple[float, float]] = ()
    lasso: Sequence[tuple[float, float]] = ()
    ground: Ground | None = None
    thumbnails: str = ""
    captions: str = ""
    height: int = 560
    selected: Bool[np.ndarray, " N"] | None = None
    atlas: Atlas | None = None
    pictures: Literal["near", "always", "never"] = "near"
    density: bool = False
    remembers: bool = True
    tools: Sequence[Literal["look", "lasso", "path"]] = ("look", "lasso", "path")
    avoid: str = ""


@dataclass(frozen=True)
class Event:
    """What was done on the map: a click on a point or beside all, a lasso, a drawn path.

    `row` is the point that was clicked, None for empty map; `places` is one place for a click.
    """

    kind: Literal["click", "lasso", "path"]
    places: tuple[tuple[float, float], ...]
    row: int | None = None


def scatter(scene: Scene, *, key: str) -> Event | None:
    """Show the scene; return what was done on it since the last run, if anything."""
    result = _component()(key=key, data=_data(scene, key), on_event_change=lambda: None)
    return _event(result.event)


@functools.cache
def _component() -> Any:
    return st.components.v2.component(
        "unclip-scatter",
        html='<div class="unclip-map"></div>',
        js=(HERE / "loader.js").read_text("utf-8"),
        isolate_styles=False,
    )


def _data(scene: Scene, key: str) -> dict[str, Any]:
    """Return the scene as JSON, with addresses where the content is large."""
    colours, ground = scene.colours, scene.ground
    data: dict[str, Any] = {
        "code": address((HERE / "bundle.js").read_bytes(), "text/javascript", key),
        "xy": address(np.ascontiguousarray(scene.xy, np.float32).tobytes(), _BINARY, key + "xy"),
        "name": scene.name,
        "marks": [asdict(mark) for mark in scene.marks],
        "path": [list(place) for place in scene.path],
        "lasso": [list(place) for place in scene.lasso],
        "thumbnails": scene.thumbnails,
        "captions": scene.captions,
        "height": scene.height,
        "pictures": scene.pictures,
        "density": scene.density,
        "remembers": scene.remembers,
        "tools": list(scene.tools),
        "avoid": scene.avoid,
    }
    if scene.selected is not None:
        mask = np.ascontiguousarray(scene.selected, np.uint8).tobytes()
        data["selected"] = address(mask, _BINARY, key + "s")
    if scene.atlas is not None:
        order = np.ascontiguousarray(scene.atlas.order, np.uint32).tobytes()
        data["atlas"] = {
            "sheets": scene.atlas.sheets,
            "order": address(order, _BINARY, key + "a"),
        }
    if colours is not None:
        data["colours"] = {
            **colours.legend(),
            "codes": address(colours.content(), _BINARY, key + "c"),
        }
    if ground is not None:
        data["ground"] = {
            "image": address(ground.image, "image/png", key + "g"),
            "box": ground.box,
        }
    return data


def _event(value: Any) -> Event | None:
    """Read what the browser sent; what does not look like an event is none."""
    try:
        places = tuple((float(x), float(y)) for x, y in value["places"])
        row = None if value["row"] is None else int(value["row"])
        kind = value["kind"]
    except (KeyError, TypeError, ValueError):
        return None
    if kind not in ("click", "lasso", "path") or not places or not np.isfinite(places).all():
        return None
    return Event(kind, places, row)
