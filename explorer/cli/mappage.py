"""Maps as files: a page to walk about in (.html), an image (.png), a table (.parquet).

It takes a library and its fitted Projection. The page is one file that opens offline: `map.html`,
`map.js` and `mappanels.js` beside this module, filled with the places, the user's columns and
small images.
"""

import base64
import html
import io
import json
import math
import os
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.cli.mapimage import draw_map
from explorer.errors import ImageError, QueryError
from explorer.files import check_writable, write_file
from explorer.images import name_of
from explorer.library.captions import is_blank
from explorer.library.reserved import with_given_names
from explorer.projection import Projection

if TYPE_CHECKING:
    import pandas as pd

    from explorer.regions.crowds import Region

SUFFIXES = (".html", ".png", ".parquet")
MAX_IMAGES = 5000  # small images in a page: about 5 MB
TILE = 64  # pixels; images in a page
TILES_A_ROW = 32  # a sheet of 32 × 32 is 2048 pixels wide, which every browser draws
LONGEST_TEXT = 300  # characters of a cell in a page
MOST_COLOURS = 20  # a text column with more different values tells no groups apart


class Images(Protocol):
    """What a map needs of a Library."""

    @property
    def rows(self) -> "pd.DataFrame":
        """One row an image, with its name in "item"."""

    @property
    def columns(self) -> list[str]:
        """Which columns of `rows` are the user's."""

    def open_image(self, row: int) -> Image.Image:
        """The image of a row; ImageError if it cannot be read any more."""

    def __len__(self) -> int: ...


def write_map(
    library: Images,
    projection: Projection,
    file: str | os.PathLike[str],
    *,
    colour: str | None = None,
    title: str | None = None,
    regions: Sequence["Region"] = (),
    warning: str = "",
) -> pathlib.Path:
    """Write the map of a library; the suffix says as what.

    `.html` is one page that opens offline, with up to 5,000 of the images. `.parquet` has x and y
    before all columns of `library.rows`; a column of the user's called x becomes given_x.

    Args:
        projection: of all points of the library, in the order of its rows.
        colour: a user's column. None: the first that tells 2 to 20 groups apart, if any.
        title: None: "Map of N images".
        regions: named crowds, the largest first; a page writes their words over the points.
        warning: a sentence that a page shows above the map.

    Raises:
        QueryError: another suffix, no such folder or column, or another number of points.
    """
    file = pathlib.Path(file)
    _check(file, projection, library)
    columns = {name: _column(library.rows[name]) for name in library.columns}
    colour = _colour(colour, columns)
    title = title or f"Map of {len(library):,} image{'s' * (len(library) != 1)}"
    if file.suffix.lower() == ".parquet":
        content = _table(library.rows, projection.xy)
    elif file.suffix.lower() == ".png":
        values = columns[colour]["values"] if colour else None
        content = draw_map(projection.xy, library.open_image, title, colour, values)
    else:
        shown = {"title": title, "colour": colour, "warning": warning}
        content = _page(library, projection.xy, columns, shown | {"regions": _labels(regions)})
    write_file(file, content)
    return file


def _colour(wanted: str | None, columns: dict[str, dict[str, Any]]) -> str | None:
    """Return the column to colour by: the wanted one, else the first that tells groups apart."""
    if wanted is not None and wanted not in columns:
        known = ", ".join(columns) or "it has none"
        raise QueryError(
            f"The library has no column {name_of(wanted)} to colour by; known: {known}."
        )
    return wanted or next((name for name in columns if _tells_groups(columns[name])), None)


def _check(file: pathlib.Path, projection: Projection, library: Images) -> None:
    check_file(file)
    if len(projection.xy) != len(library):
        raise QueryError(
            f"The projection has {len(projection.xy)} points, but the library has {len(library)} "
            "images. Fit it to library.points()."
        )


def check_file(file: pathlib.Path) -> None:
    """Refuse a file that no map can be written to, before the map is laid out.

    Raises:
        QueryError: another suffix, or no such folder.
        DiskError: nothing can be written there.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise QueryError(f"A map ends in {' or '.join(SUFFIXES)}; {name_of(file)} does not.")
    if not file.parent.is_dir():
        raise QueryError(f"The folder {name_of(file.parent)} does not exist; make it first.")
    check_writable(file)


def _column(series: "pd.Series[Any]") -> dict[str, Any]:
    """One column as JSON values: numbers with their range, or texts; None where nothing is."""
    from pandas.api import types

    if types.is_numeric_dtype(series) and not types.is_bool_dtype(series):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        finite = numbers[np.isfinite(numbers)]
        if len(finite):
            values = [float(f"{x:.6g}") if math.isfinite(x) else None for x in numbers]
            span = [float(f"{x:.6g}") for x in (finite.min(), finite.max())]
            return {"kind": "number", "values": values, "range": span}
    missing = series.map(is_blank)
    texts = [None if gone else _short(str(x)) for x, gone in zip(series, missing, strict=True)]
    return {"kind": "text", "values": texts}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _tells_groups(column: dict[str, Any]) -> bool:
    return column["kind"] == "text" and 2 <= len(set(column["values"]) - {None}) <= MOST_COLOURS


def _labels(regions: Sequence["Region"]) -> list[list[str | float]]:
    return [[_short(each.words), *map(float, each.middle)] for each in regions]


def _table(rows: "pd.DataFrame", xy: Float[np.ndarray, "N 2"]) -> bytes:
    table = with_given_names(rows.reset_index(drop=True))
    for position, axis in enumerate("xy"):
        table.insert(position, axis, xy[:, position])
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


def _page(
    library: Images,
    xy: Float[np.ndarray, "N 2"],
    columns: dict[str, dict[str, Any]],
    shown: dict[str, Any],
) -> bytes:
    sheets, tiles = _sheets(library)
    n, drawn = len(library), sum(tile >= 0 for tile in tiles)
    note = (
        "Images that look or mean alike lie near each other; distances across the map say little."
    )
    if drawn < n:
        note += f" Small images for {drawn:,} of {n:,}."
    data = {
        **shown,
        "note": note,
        "labels": [_short(str(item)) for item in library.rows["item"]],
        "xy": [float(f"{x:.6g}") for x in xy.ravel()],
        "spacing": _spacing(xy),
        "columns": [{"name": name, **column} for name, column in columns.items()],
        "sheets": sheets,
        "tiles": tiles,
        "tile": TILE,
        "perRow": TILES_A_ROW,
        "perSheet": TILES_A_ROW**2,
    }
    folder = pathlib.Path(__file__).parent
    parts = {
        # "<" never stands in the data, so nothing in it can end the script or begin a tag.
        "__DATA__": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        "__SCRIPT__": "".join((folder / f).read_text("utf-8") for f in ("map.js", "mappanels.js")),
        "__TITLE__": html.escape(shown["title"]),
    }
    template = (folder / "map.html").read_text("utf-8")
    page = re.sub("__[A-Z]+__", lambda found: parts[found[0]], template)
    return page.encode("utf-8", "replace")


def _spacing(xy: Float[np.ndarray, "N 2"]) -> float:
    """Map units between near points: the median distance to the fourth neighbour."""
    from scipy.spatial import KDTree

    extent = float(np.ptp(xy, axis=0).max()) or 1.0
    if len(xy) < 5:
        return extent / 4
    fourth = KDTree(xy).query(xy, k=[5])[0]
    return max(float(np.median(fourth)), extent / 1000)


def _sheets(library: Images) -> tuple[list[str], list[int]]:
    """Small images on a few large ones, as data URIs; and which tile is whose, -1: none."""
    chosen: Sequence[int] = range(len(library))
    if len(library) > MAX_IMAGES:
        drawn = np.random.default_rng(0).permutation(len(library))[:MAX_IMAGES]
        chosen = sorted(drawn.tolist())
    tiles = [-1] * len(library)
    sheets: list[str] = []
    images: list[Image.Image] = []
    for row in chosen:
        try:
            image = library.open_image(row)
        except ImageError:
            continue  # it went away after it was indexed; its dot and its words are still true
        image.thumbnail((TILE, TILE))
        tiles[row] = len(sheets) * TILES_A_ROW**2 + len(images)
        images.append(image)
        if len(images) == TILES_A_ROW**2:
            sheets.append(_sheet(images))
            images = []
    if images:
        sheets.append(_sheet(images))
    return sheets, tiles


def _sheet(images: list[Image.Image]) -> str:
    sheet = Image.new("RGB", (TILE * TILES_A_ROW, TILE * -(-len(images) // TILES_A_ROW)), "white")
    for i, image in enumerate(images):
        left = TILE * (i % TILES_A_ROW) + (TILE - image.width) // 2
        top = TILE * (i // TILES_A_ROW) + (TILE - image.height) // 2
        sheet.paste(image, (left, top))
    content = io.BytesIO()
    sheet.save(content, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
