"""Sheet: images of a library on one contact sheet, each over a label."""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike

from PIL import Image

from explorer.errors import ExplorerError
from explorer.images import grid, save_image

TILE = 128  # pixels
OpenImage = Callable[[int], Image.Image]


def write_sheet(
    open_image: OpenImage, rows: Iterable[int], labels: Sequence[str], file: str | PathLike[str]
) -> None:
    """Write the images of these rows as one sheet, with a label under each.

    Raises:
        QueryError: there are no rows.
    """
    images = [thumbnail(open_image, int(row)) for row in rows]
    save_image(grid(images, labels=labels, size=TILE), file)


def thumbnail(open_image: OpenImage, row: int) -> Image.Image:
    """Return the image of a row; grey if its file is not there any more."""
    try:
        return open_image(row)
    except ExplorerError:
        return Image.new("RGB", (TILE, TILE), "lightgrey")
