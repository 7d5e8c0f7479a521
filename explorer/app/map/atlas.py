"""Small images on sheets, in the order of the map, so that a view needs few of them."""

import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageOps

from explorer.app import state
from explorer.app.map.layout import layout
from explorer.cache_files import find_cache, write_cache
from explorer.errors import DiskError, ExplorerError
from explorer.files import make_folder

TILE, ACROSS = 64, 8  # pixels; tiles a row and rows a sheet, as pictures.js has them
PER_SHEET = ACROSS**2
BITS = 16  # of each coordinate that orders the rows
MISSING = "#b9bec6"  # of a tile whose image is gone


def z_order(xy: Float[np.ndarray, "N 2"]) -> Int[np.ndarray, " N"]:
    """Return rows so that those which follow one another are near on the map.

    Source: Morton 1966.

    >>> z_order(np.array([[0, 0], [9, 9], [0, 1], [9, 8.0]])).tolist()
    [0, 2, 3, 1]
    """
    low, extent = xy.min(axis=0), float(np.ptp(xy, axis=0).max()) or 1.0
    cells = ((xy - low) / extent * (2**BITS - 1)).astype(np.uint64)
    code = np.zeros(len(xy), np.uint64)
    for bit in range(BITS):
        for axis in (0, 1):
            code |= ((cells[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(2 * bit + axis)
    return np.argsort(code, kind="stable")


def sheet(number: int) -> tuple[bytes, bool]:
    """Return a sheet as WebP, cached or drawn, and whether it has all its images.

    Where images are missing, the disk keeps no sheet: their files may come back.

    Raises:
        IndexError: there is no such sheet.
    """
    library = state.library()
    rows = z_order(layout().xy)[number * PER_SHEET : (number + 1) * PER_SHEET]
    if number < 0 or not len(rows):
        raise IndexError(number)
    contents = "".join(library.rows["sha256"].iloc[rows].astype(str))
    key = hashlib.sha256(f"whole {rows.tolist()} {contents}".encode()).hexdigest()[:32]
    file = library.cache_folder / "atlas" / f"{number}.webp"
    if (known := find_cache(file, key)) is not None:
        return known, True
    tiles = [_tile(int(row)) for row in rows]
    content, whole = _drawn(tiles), None not in tiles
    if whole:
        with suppress(DiskError):  # a cache: what the disk refuses is drawn again
            make_folder(file.parent)
            write_cache(file, key, content)
    return content, whole


def _tile(row: int) -> Image.Image | None:
    try:
        return ImageOps.fit(state.library().open_image(row), (TILE, TILE))
    except ExplorerError:
        return None


def _drawn(tiles: Sequence[Image.Image | None]) -> bytes:
    drawn = Image.new("RGB", (TILE * ACROSS, TILE * -(-len(tiles) // ACROSS)), "white")
    for place, tile in enumerate(tiles):
        left, top = place % ACROSS * TILE, place // ACROSS * TILE
        drawn.paste(tile or MISSING, (left, top, left + TILE, top + TILE))
    content = io.BytesIO()
    drawn.save(content, "WEBP", quality=80)
    return content.getvalue()
