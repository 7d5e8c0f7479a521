"""Sheets of small images of the library that is shown, cached beside it."""

import hashlib
from contextlib import suppress

from explorer.app import state
from explorer.app.map.layout import layout
from explorer.cache_files import find_cache, write_cache
from explorer.errors import DiskError
from explorer.files import make_folder
from explorer.projection.tiles import PER_SHEET, draw_sheet, tile, z_order


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
    tiles = [tile(library.open_image, int(row)) for row in rows]
    content, whole = draw_sheet(tiles), None not in tiles
    if whole:
        with suppress(DiskError):  # a cache: what the disk refuses is drawn again
            make_folder(file.parent)
            write_cache(file, key, content)
    return content, whole
