"""The page of a map: the dashboard's component, and the places, colours, words and images it shows.

`map.html` is its frame and `map.js` hands the component what the page holds; all of it is one file
that opens offline.
"""

import base64
import html
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.projection.colours import Colours, by_values, most_telling
from explorer.projection.tiles import PER_SHEET, draw_sheet, tile, z_order
from explorer.regions.colours import CLUSTERS, crowd_colours

if TYPE_CHECKING:
    import pandas as pd

    from explorer.regions.crowds import Region
    from explorer.regions.kept import MapCrowds

HERE = pathlib.Path(__file__).parent
COMPONENT = HERE.parent / "app" / "map" / "scatter" / "bundle.js"  # read as a file, not imported
LICENCES = COMPONENT.with_name("bundle.LICENSES.txt")  # whoever gives the page on gives them too
MAX_IMAGES = 5000  # small images in a page: about 8 MB
NO_COLUMN = "One colour"


def page(data: Mapping[str, Any], title: str) -> bytes:
    """Return the page that shows `data`, which has texts that may be hostile."""
    parts = {
        # "<" never stands in the data, so nothing in it can end the script or begin a tag.
        "__DATA__": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        "__COMPONENT__": component(COMPONENT.read_text("utf-8")),
        "__LICENCES__": LICENCES.read_text("utf-8").replace("<", "&lt;"),
        "__SCRIPT__": (HERE / "map.js").read_text("utf-8"),
        "__TITLE__": html.escape(title),
    }
    template = (HERE / "map.html").read_text("utf-8")
    return re.sub("__[A-Z]+__", lambda found: parts[found[0]], template).encode("utf-8", "replace")


def component(bundle: str) -> str:
    r"""Return the bundle as a script of a page, which cannot import it by a name.

    Raises:
        ValueError: it does not end in its one export, or cannot stand in a page.

    >>> component("function a(){}export{a as default};")
    'function a(){}globalThis.unclipMap=a;'
    """
    ending = r"export\s*\{\s*([\w$]+) as default\s*\};?\s*$"
    script, count = re.subn(ending, r"globalThis.unclipMap=\1;", bundle)
    if count != 1 or "</script" in script.lower():
        raise ValueError(f"{COMPONENT} does not end in its one export: build it, make frontend.")
    return script


def scene(
    rows: "pd.DataFrame",
    columns: Iterable[str],
    xy: Float[np.ndarray, "N 2"],
    crowds: "MapCrowds | None",
    wanted: str | None,
) -> dict[str, Any]:
    """Return places, what is written on them, and the colours that one can choose, as JSON.

    Args:
        wanted: the column that colours first. None: the one that tells most, else the crowds.
    """
    colours = {name: by_values(name, rows[name]) for name in columns}
    regions = crowds.regions if crowds else []
    crowded = crowd_colours(xy, regions, crowds.members) if crowds and regions else None
    if crowded is not None and CLUSTERS not in colours:
        colours[CLUSTERS] = crowded
    first = wanted or most_telling(rows, columns, xy) or CLUSTERS
    choices = [_choice(name, each) for name, each in colours.items()]
    return {
        "xy": _base64(np.ascontiguousarray(xy, np.float32).tobytes()),
        "marks": [_label(region) for region in regions],
        "colours": [*choices, {"name": NO_COLUMN, "title": ""}],
        "colour": first if first in colours else NO_COLUMN,
    }


def _choice(name: str, colours: Colours) -> dict[str, Any]:
    """Return colours as JSON; those of numbers without codes, for the page has the column."""
    numbers = colours.names is None and not colours.dates
    return {
        **colours.legend(),
        "name": name,
        "codes": None if numbers else _base64(colours.content()),
    }


def _label(region: "Region") -> dict[str, Any]:
    x, y = map(float, region.middle)
    return {"x": x, "y": y, "kind": "label", "text": region.words,
            "radius": region.radius, "level": region.level}  # fmt: skip


def small_images(
    open_image: Callable[[int], Image.Image], xy: Float[np.ndarray, "N 2"]
) -> dict[str, Any]:
    """Return small images on sheets, and the rows in the order of their tiles, as JSON.

    Of more than MAX_IMAGES rows a sample has images. One that went away after it was indexed has
    none: its point and its words are still true.
    """
    order = z_order(xy)
    if len(order) > MAX_IMAGES:
        order = order[np.sort(np.random.default_rng(0).permutation(len(order))[:MAX_IMAGES])]
    sheets: list[str] = []
    drawn: list[int] = []
    tiles: list[Image.Image] = []
    for row in map(int, order):
        if (image := tile(open_image, row)) is None:
            continue
        drawn.append(row)
        tiles.append(image)
        if len(tiles) == PER_SHEET:
            sheets.append(_sheet(tiles))
            tiles = []
    if tiles:
        sheets.append(_sheet(tiles))
    return {"sheets": sheets, "order": _base64(np.array(drawn, np.uint32).tobytes())}


def _sheet(tiles: Sequence[Image.Image]) -> str:
    return "data:image/webp;base64," + _base64(draw_sheet(tiles))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
