"""Maps as files: a page to walk about in (.html), an image (.png), a table (.parquet).

It takes a library and its fitted Projection. What the page holds is `mapscene.py`.
"""

import base64
import io
import math
import os
import pathlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.cli import mapscene
from explorer.cli.mapimage import draw_map
from explorer.errors import QueryError
from explorer.files import check_writable, write_file
from explorer.images import name_of
from explorer.library.captions import is_blank
from explorer.library.reserved import with_given_names
from explorer.notes import counted
from explorer.projection import Projection
from explorer.projection.colours import by_values, most_telling, numbers_of

if TYPE_CHECKING:
    import pandas as pd

    from explorer.regions.kept import MapCrowds

SUFFIXES = (".html", ".png", ".parquet")
LONGEST_TEXT = 300  # characters of a cell in a page
NOTE = "Images that look or mean alike lie near each other; distances across the map say little."


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
    crowds: "MapCrowds | None" = None,
    warning: str = "",
) -> pathlib.Path:
    """Write the map of a library; the suffix says as what.

    `.html` is one page that opens offline, with up to 5,000 of the images. `.parquet` has x and y
    before all columns; a column of the user's called x becomes given_x.

    Args:
        projection: of all points of the library, in the order of its rows.
        colour: a user's column. None: the most telling; if none tells enough, a page is coloured by
            the regions, an image by how crowded each place is.
        title: None: "Map of N images".
        crowds: of the map; a page writes their words over the points, and has their colours.
        warning: a sentence that a page shows above the map.

    Raises:
        QueryError: another suffix, no such folder or column, or another number of points.
    """
    file = pathlib.Path(file)
    _check(file, projection, library)
    columns = {name: _column(library.rows[name]) for name in library.columns}
    _check_colour(colour, columns)
    title = title or f"Map of {counted(len(library))}"
    if file.suffix.lower() == ".parquet":
        content = _table(library.rows, projection.xy)
    elif file.suffix.lower() == ".png":
        content = _image(library, projection.xy, colour, title)
    else:
        said = {"title": title, "warning": warning}
        content = _page(library, projection.xy, columns, crowds, colour, said)
    write_file(file, content)
    return file


def _check_colour(wanted: str | None, columns: dict[str, dict[str, Any]]) -> None:
    """Refuse a column to colour by that the library does not have."""
    if wanted is not None and wanted not in columns:
        known = ", ".join(columns) or "it has none"
        raise QueryError(
            f"The library has no column {name_of(wanted)} to colour by; known: {known}."
        )


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
    """One column as JSON values, numbers or texts; None where nothing is."""
    numbers = numbers_of(series)
    if numbers is not None and np.isfinite(numbers).any():
        return {"kind": "number", "values": [_number(x) for x in numbers.tolist()]}
    missing = series.map(is_blank)
    texts = [None if gone else _short(str(x)) for x, gone in zip(series, missing, strict=True)]
    return {"kind": "text", "values": texts}


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _table(rows: "pd.DataFrame", xy: Float[np.ndarray, "N 2"]) -> bytes:
    table = with_given_names(rows.reset_index(drop=True))
    for position, axis in enumerate("xy"):
        table.insert(position, axis, xy[:, position])
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


def _image(library: Images, xy: Float[np.ndarray, "N 2"], colour: str | None, title: str) -> bytes:
    name = colour or most_telling(library.rows, library.columns, xy)
    colours = by_values(name, library.rows[name]) if name else None
    return draw_map(xy, library.open_image, title, colours)


def _page(
    library: Images,
    xy: Float[np.ndarray, "N 2"],
    columns: dict[str, dict[str, Any]],
    crowds: "MapCrowds | None",
    colour: str | None,
    said: dict[str, str],
) -> bytes:
    images = mapscene.small_images(library.open_image, xy)
    n, drawn = len(library), len(base64.b64decode(images["order"])) // 4
    few = f" Small images for {drawn:,} of {n:,}." * (drawn < n)
    data = {
        **mapscene.scene(library.rows, library.columns, xy, crowds, colour),
        **images,
        **said,
        "note": NOTE + few,
        "labels": [_short(str(item)) for item in library.rows["item"]],
        "columns": [{"name": name, **column} for name, column in columns.items()],
    }
    return mapscene.page(data, said["title"])
