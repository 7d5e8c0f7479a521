"""Sheet: images of a library on one contact sheet, and what stands under each."""

from pathlib import Path as FilePath

from PIL import Image

from explorer.errors import ExplorerError
from explorer.images import grid, save_image
from explorer.library import Library
from explorer.library.hits import Hits
from explorer.points import Points

NEIGHBOURS = 3
TILE = 128


def write_sheet(source: Library | Hits, hits: Hits, file: FilePath) -> None:
    """Write the images of the hits with score and caption under each.

    Raises:
        QueryError: there are no hits.
    """
    images = [thumbnail(source, int(row)) for row in hits.rows]
    labels = [f"{hits.scores[i]:.2f} {caption(hits, i)}" for i in range(len(hits))]
    save_image(grid(images, labels=labels, size=TILE), file)


def neighbours(library: Library, points: Points) -> list[Hits]:
    """The nearest images of each point."""
    return library.search_many(points, NEIGHBOURS)


def thumbnail(source: Library | Hits, row: int) -> Image.Image:
    """Return the image of a row; grey if its file is not there any more."""
    try:
        return source.open_image(row)
    except ExplorerError:
        return Image.new("RGB", (TILE, TILE), "lightgrey")


def caption(hits: Hits, rank: int) -> str:
    """What a hit is called: its caption if it has one, else its file."""
    row = hits.table.iloc[rank]
    return (
        str(row["caption"]) if "caption" in hits.table.columns else FilePath(hits.items[rank]).name
    )
