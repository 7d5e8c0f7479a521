"""Small images on sheets, in the order of a map, so that a view of it needs few of them."""

import io
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageOps

from explorer.errors import ExplorerError

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


def tile(open_image: Callable[[int], Image.Image], row: int) -> Image.Image | None:
    """Return the small image of a row, None if it cannot be read."""
    try:
        return ImageOps.fit(open_image(row), (TILE, TILE))
    except ExplorerError:
        return None


def draw_sheet(tiles: Sequence[Image.Image | None]) -> bytes:
    """Return up to PER_SHEET tiles on one sheet, as WebP; grey where one is missing."""
    drawn = Image.new("RGB", (TILE * ACROSS, TILE * -(-len(tiles) // ACROSS)), "white")
    for place, each in enumerate(tiles):
        left, top = place % ACROSS * TILE, place // ACROSS * TILE
        drawn.paste(each or MISSING, (left, top, left + TILE, top + TILE))
    content = io.BytesIO()
    drawn.save(content, "WEBP", quality=80)
    return content.getvalue()
