"""Masks of inpainting: white pixels are inpainted, black pixels are kept.

It works on Pillow images and numpy arrays; it knows no latents and no models.
"""

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer.errors import QueryError

Mask = Image.Image | np.ndarray
"""A grey or black-and-white image, or an array H × W of bool, uint8 0 … 255 or 0.0 … 1.0."""


def as_grey(mask: Mask, image: Image.Image) -> Image.Image:
    """Convert a mask to a grey image (mode "L") of the size of `image`.

    Raises:
        QueryError: the mask has another size than the image, or is all black.

    >>> as_grey(np.eye(4, dtype=bool), Image.new("RGB", (4, 4))).getpixel((1, 1))
    255
    """
    if isinstance(mask, np.ndarray):
        scale = 1 if mask.dtype == np.uint8 else 255
        mask = Image.fromarray(np.clip(np.round(mask * scale), 0, 255).astype(np.uint8))
    grey = mask.convert("L")
    if grey.size != image.size:
        raise QueryError(
            f"The mask is {grey.size[0]} × {grey.size[1]} pixels and its image "
            f"{image.size[0]} × {image.size[1]}. Pass a mask of the image's size."
        )
    if grey.getextrema()[1] == 0:
        raise QueryError("The mask is all black. Paint white where the image is to be inpainted.")
    return grey


def touched(mask: Image.Image, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Find the cells of a height × width grid that the mask's white pixels overlap.

    The grid is stretched over the mask; any overlap counts, as does any grey above 0.

    >>> mask = Image.new("L", (8, 8))
    >>> mask.putpixel((7, 0), 1)
    >>> touched(mask, 2, 2).tolist()
    [[False, True], [False, False]]
    """
    inpainted = np.asarray(mask) > 0
    rows, columns = _overlaps(height, mask.height), _overlaps(width, mask.width)
    return rows @ inpainted @ columns.T  # of bool: true where any term is


def _overlaps(cells: int, pixels: int) -> Bool[np.ndarray, "cells pixels"]:
    cell, pixel = np.arange(cells)[:, None], np.arange(pixels)
    return (pixel * cells < (cell + 1) * pixels) & ((pixel + 1) * cells > cell * pixels)


def paste(inpainted: Image.Image, image: Image.Image, mask: Image.Image) -> Image.Image:
    """Paste `inpainted` into `image`: black pixels of the mask keep it exactly, grey ones blend.

    If the two have different sizes, return `inpainted` as it is.
    """
    if inpainted.size != image.size:
        return inpainted
    return Image.composite(inpainted, image, mask)
