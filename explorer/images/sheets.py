"""Sheets: lay images out on contact sheets; write image files with their recipes."""

import io
import math
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from PIL import Image, ImageDraw

from explorer.errors import QueryError
from explorer.files import write_file
from explorer.font import font
from explorer.images.converting import PILLOW_ERRORS, as_rgb
from explorer.images.formats import open_header
from explorer.images.reading import decode_image, name_of, read_bytes
from explorer.metadata import recipe_in, save_options

_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")


def grid(
    images: Sequence[Image.Image],
    *,
    columns: int | None = None,
    labels: Sequence[str] | None = None,
    size: int | None = None,
    gap: int = 8,
    background: str = "white",
) -> Image.Image:
    """Lay images out as a contact sheet, row by row.

    Args:
        columns: images per row; None makes the sheet about square.
        labels: one line of text under each image, truncated with "…" to fit.
        size: side of the square tiles in pixels; None takes the longest side of all images.
        gap: pixels between tiles and around them.

    Raises:
        QueryError: there are no images, or not one label per image.

    >>> grid([Image.new("RGB", (10, 10))] * 6, columns=3, gap=2).size
    (38, 26)
    """
    if not images or (columns is not None and columns < 1):
        raise QueryError("A grid needs at least one image and one column.")
    if labels is not None and len(labels) != len(images):
        raise QueryError(f"{len(images)} images need as many labels, not {len(labels)}.")
    side = size or max(max(image.size) for image in images)
    columns = min(len(images), columns or math.ceil(math.sqrt(len(images))))
    rows = math.ceil(len(images) / columns)
    line = 0 if labels is None else 2 * max(10, side // 10)
    width, height = side + gap, side + line + gap
    sheet = Image.new("RGB", (columns * width + gap, rows * height + gap), background)
    for i, image in enumerate(images):
        left, top = gap + i % columns * width, gap + i // columns * height
        tile = fitted(as_rgb(image), side)
        sheet.paste(tile, (left + (side - tile.width) // 2, top + (side - tile.height) // 2))
        if labels is not None:
            _label(sheet, labels[i], (left, top + side), (side, line))
    return sheet


def fitted(image: Image.Image, side: int) -> Image.Image:
    """Scale an image so that its longer side has `side` pixels, and the shorter one at least 1.

    >>> fitted(Image.new("RGB", (600, 1)), 128).size
    (128, 1)
    """
    longest = max(image.size)
    width, height = (max(1, round(pixels / longest * side)) for pixels in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _label(sheet: Image.Image, text: str, corner: tuple[int, int], size: tuple[int, int]) -> None:
    """Write a centred line into the box at `corner`; letters take half of its height."""
    face = font(size[1] // 2)
    text = " ".join(text.split())
    if face.getlength(text) > size[0]:
        while text and face.getlength(text + "…") > size[0]:
            text = text[:-1]
        text = text.rstrip() + "…"
    centre = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
    dark = sheet.crop((*corner, corner[0] + 1, corner[1] + 1)).convert("L").tobytes() < b"\x80"
    ImageDraw.Draw(sheet).text(centre, text, "white" if dark else "black", face, anchor="mm")


def save_image(
    image: Image.Image, file: str | PathLike[str], recipe: dict[str, Any] | None = None
) -> None:
    """Write an image; the suffix selects the format: .png, .webp (both lossless), .jpg or .jpeg.

    The file appears under its name only when it is complete.

    Args:
        recipe: what made the image, in values that JSON knows, of any size; see `read_recipe`.

    Raises:
        QueryError: the suffix is another one, or the folder does not exist.

    >>> save_image(Image.new("RGB", (4, 2)), "black.jpg", {"colour": "black"})
    >>> read_recipe("black.jpg")
    {'colour': 'black'}
    """
    file = FilePath(file)
    if file.suffix.lower() not in _SUFFIXES:
        raise QueryError(f"Cannot write {name_of(file)}: use one of {', '.join(_SUFFIXES)}.")
    if not file.parent.is_dir():
        raise QueryError(f"The folder {name_of(file.parent)} does not exist. Create it first.")
    options = save_options(file.suffix.lower(), recipe)
    content = io.BytesIO()
    image.save(content, **options)
    write_file(file, content.getvalue())


def read_recipe(file: str | PathLike[str]) -> dict[str, Any] | None:
    """Read the recipe that `save_image` wrote; None if the image has none.

    Raises:
        ImageError: the file is not an image.
    """
    data = read_bytes(file)
    decode_image(data, name_of(file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about EXIF that is cut off
        try:
            with open_header(io.BytesIO(data), data[:12]) as image:
                return recipe_in(image)
        except (*PILLOW_ERRORS,):  # metadata of another program, or damaged
            return None
