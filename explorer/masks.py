"""Masks: where in-painting may paint; white paints, black keeps.

Works on images (PIL) and numpy arrays; knows no latents and no models.
"""

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer.errors import QueryError

Mask = Image.Image | np.ndarray
"""A grey or black-and-white image, or an array H × W of bool, uint8 0 … 255 or 0.0 … 1.0."""


def as_grey(mask: Mask, image: Image.Image) -> Image.Image:
    """Turn any mask into a grey image (mode "L") that fits `image`.

    Raises:
        QueryError: it is of another size than the image, or black all over.

    >>> as_grey(np.eye(4, dtype=bool), Image.new("RGB", (4, 4))).getpixel((1, 1))
    255
    """
    if isinstance(mask, np.ndarray):
        scale = 1 if mask.dtype == np.uint8 else 255
        mask = Image.fromarray(np.clip(np.round(mask * scale), 0, 255).astype(np.uint8))
    grey = mask.convert("L")
    if grey.size != image.size:
        raise QueryError(
            f"The mask is {grey.size[0]} × {grey.size[1]} and its image "
            f"{image.size[0]} × {image.size[1]}. Draw the mask at the image's size."
        )
    if grey.getextrema()[1] == 0:
        raise QueryError("A mask is all black, so nothing would be painted. White is painted.")
    return grey


def touched(mask: Image.Image, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Find the cells of a height × width grid, stretched over it, that a mask touches at all.

    >>> mask = Image.new("L", (8, 8))
    >>> mask.putpixel((7, 0), 1)
    >>> touched(mask, 2, 2).tolist()
    [[False, True], [False, False]]
    """
    painted = np.asarray(mask) > 0
    rows, columns = _overlaps(height, mask.height), _overlaps(width, mask.width)
    return rows @ painted @ columns.T  # of bool: true where any term is


def _overlaps(cells: int, pixels: int) -> Bool[np.ndarray, "cells pixels"]:
    cell, pixel = np.arange(cells)[:, None], np.arange(pixels)
    return (pixel * cells < (cell + 1) * pixels) & ((pixel + 1) * cells > cell * pixels)


def paste(painted: Image.Image, image: Image.Image, mask: Image.Image) -> Image.Image:
    """Keep every black pixel of `image` exactly; grey blends. At another size, all is new."""
    if painted.size != image.size:
        return painted
    return Image.composite(painted, image, mask)
