"""Sheet: images of a library on a contact sheet, and a tile for each that is gone."""

import os
from collections.abc import Callable, Iterable, Sequence
from os import PathLike

from PIL import Image, ImageDraw

from explorer.errors import ExplorerError
from explorer.font import font
from explorer.images import grid, save_image
from explorer.library.presence import FileGone

TILE = 128  # pixels
NAME_LINES = 4
OpenImage = Callable[[int], Image.Image]
GREY, BORDER, INK = "#e4e4e4", "#a8a8a8", "#505050"


def write_sheet(
    open_image: OpenImage,
    rows: Iterable[int],
    names: Sequence[str],
    labels: Sequence[str],
    file: str | PathLike[str],
) -> None:
    """Write the images of these rows as one sheet, with a label under each.

    Args:
        names: of their files, for the tiles of those that are gone.

    Raises:
        QueryError: there are no rows.
    """
    images = [thumbnail(open_image, int(row), name) for row, name in zip(rows, names, strict=True)]
    save_image(grid(images, labels=labels, size=TILE), file)


def thumbnail(open_image: OpenImage, row: int, name: str) -> Image.Image:
    """Return the image of a row, or a tile that says why there is none."""
    try:
        return open_image(row)
    except ExplorerError as error:
        return tile(name, error)


def tile(name: str, error: ExplorerError, side: int = TILE) -> Image.Image:
    """Return a grey square with the name of a file and why its image is not shown."""
    image = Image.new("RGB", (side, side), GREY)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, side - 1, side - 1), outline=BORDER)
    why = "no longer there" if isinstance(error, FileGone) else "cannot be shown"
    size = side // 9
    middle = (side / 2, (side - size * 1.6) / 2)
    lines = "\n".join(_wrapped(os.path.basename(name) or name, size, side * 0.9))
    draw.multiline_text(middle, lines, INK, font(size), anchor="mm", align="center")
    draw.text((side / 2, side - size), why, INK, font(size), anchor="mm")
    return image


def _wrapped(text: str, size: int, width: float) -> list[str]:
    """Cut a name into lines of that width, and its middle out if it is too long."""
    face, lines, line = font(size), list[str](), ""
    for letter in text:
        if line and face.getlength(line + letter) > width:
            lines.append(line)
            line = ""
        line += letter
    lines.append(line)
    if len(lines) > NAME_LINES:
        lines = [*lines[: NAME_LINES - 2], "…", lines[-1]]
    return lines
