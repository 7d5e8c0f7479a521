"""A library's map as a widget of Jupyter; what is chosen on it comes back as rows."""

from pathlib import Path as FilePath
from typing import Any

import numpy as np

from explorer.errors import QueryError
from explorer.library.reader import Reader
from explorer.notes import counted

BUNDLE = (
    FilePath(__file__).parents[1] / "app" / "map" / "scatter" / "bundle.js"
)  # read as a file, not imported
HEIGHT = 520  # pixels


def map_of(library: Reader, colour: str | None = None) -> Any:
    """Return the widget; see `Library.map`."""
    try:
        from explorer.library.map_widget import LibraryMap
    except ImportError:
        raise QueryError(
            "The map in a notebook needs anywidget: pip install anywidget. Without it, "
            "`unclip map LIBRARY -o map.html` writes a page."
        ) from None
    if colour is not None and colour not in library.columns:
        raise QueryError(
            f"The library has no column {colour!r} to colour by: take one of "
            f"{', '.join(library.columns) or 'none, for it has no columns'}."
        )
    if len(library) < 3:
        raise QueryError(f"A map needs 3 images or more, and the library has {len(library)}.")
    from explorer.projection import Projection
    from explorer.projection.colours import by_values

    xy = Projection.cached(library.cache_folder, library.points()).xy.astype(np.float32)
    scene: dict[str, Any] = {
        "name": f"Map of {counted(len(library))}", "marks": [], "lasso": [], "height": HEIGHT,
        "pictures": "near", "density": False, "avoid": "", "tools": ["look", "lasso"],
    }  # fmt: skip
    codes = b""
    if colour is not None:
        colours = by_values(colour, library.rows[colour])
        codes, scene["colours"] = colours.content(), colours.legend()
    return LibraryMap(library=library, xy=xy.tobytes(), codes=codes, scene=scene,
                     code=BUNDLE.read_text("utf-8"))  # fmt: skip


class Mapped(Reader):
    """The part of a Library that shows itself in a notebook."""

    def map(self, colour: str | None = None) -> Any:
        """Return the library's map as a widget for Jupyter: the dashboard's own.

        Draw around images with its lasso, or click one: `widget.rows` then has their numbers, and
        `widget.selection` their rows. The first map of a library takes up to some minutes.

        Args:
            colour: a column of the library.

        Raises:
            QueryError: no such column, fewer than 3 images, or anywidget is not installed.

        >>> import explorer as ex
        >>> chooser = ex.sample_library().map(colour="style")  # doctest: +SKIP
        >>> chooser.selection["caption"]  # doctest: +SKIP
        """
        return map_of(self, colour)
