"""The widget class of a library's map: what the browser and Python tell each other."""

import io
from pathlib import Path as FilePath
from typing import Any

import anywidget
import numpy as np
import traitlets
from jaxtyping import Float

from explorer.images import fitted
from explorer.library.captions import label_of
from explorer.library.reader import Reader
from explorer.library.sheet import thumbnail

SIDE = 160  # pixels of an image on its card


class LibraryMap(anywidget.AnyWidget):
    """The map of a library.

    `rows` are the numbers of the chosen images, and `selection` is the table of them;
    `observe(function, "rows")` tells when they change.
    """

    _esm = FilePath(__file__).with_name("map_widget.js")
    code = traitlets.Unicode().tag(sync=True)
    xy = traitlets.Bytes().tag(sync=True)
    codes = traitlets.Bytes().tag(sync=True)
    mask = traitlets.Bytes().tag(sync=True)
    scene = traitlets.Dict().tag(sync=True)
    event = traitlets.Dict().tag(sync=True)
    rows = traitlets.List(traitlets.Int())

    def __init__(self, library: Reader, **traits: Any) -> None:
        super().__init__(**traits)
        self.library = library
        self.on_msg(lambda _, content, __: self._answer(content))

    @property
    def selection(self) -> Any:
        """The chosen rows of `library.rows`."""
        return self.library.rows.iloc[self.rows]

    @traitlets.observe("event")
    def _choose(self, change: Any) -> None:
        event = change["new"]
        if event.get("kind") == "lasso":
            xy = np.frombuffer(self.xy, np.float32).reshape(-1, 2)
            self.rows = rows_in(event["places"], xy)
        elif event.get("kind") == "click":
            self.rows = [] if event.get("row") is None else [int(event["row"])]

    @traitlets.observe("rows")
    def _show(self, change: Any) -> None:
        mask = np.isin(np.arange(len(self.library)), change["new"])
        self.mask = mask.astype(np.uint8).tobytes() if change["new"] else b""

    def _answer(self, content: Any) -> None:
        """Send the image and the caption that the map asks for."""
        row = content.get("row") if isinstance(content, dict) else None
        if isinstance(row, int) and 0 <= row < len(self.library):
            caption, image = _shown(self.library, row)
            self.send({"row": row, "caption": caption}, buffers=[image])


def _shown(library: Reader, row: int) -> tuple[str, bytes]:
    """Return the caption and a small JPEG of a row, or of a tile that says why there is none."""
    record = library.rows.iloc[row]
    label = label_of(record.get("caption"), library.points([row]).labels[0])
    image = thumbnail(library.open_image, row, str(record["item"])).convert("RGB")
    content = io.BytesIO()
    fitted(image, min(SIDE, max(image.size))).save(content, "jpeg", quality=88)
    return label, content.getvalue()


def rows_in(border: Float[np.ndarray, "B 2"], xy: Float[np.ndarray, "N 2"]) -> list[int]:
    """Return the rows within a border, in their order; both in the map's units.

    >>> rows_in([(0, 0), (2, 0), (2, 2), (0, 2)], np.array([[1, 1], [3, 1.0]]))
    [0]
    """
    from matplotlib.path import Path

    inside = Path(np.asarray(border)).contains_points(xy)
    return [int(row) for row in np.flatnonzero(inside)]
