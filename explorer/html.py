"""HTML of objects for Jupyter: cards with thumbnails.

It knows images of Pillow and plain numbers; nothing of this package. All text is escaped.
"""

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
from jaxtyping import Float
from PIL import Image

SHOWN = 12
THUMBNAIL = 96  # pixels
STRIP = "height:24px;width:192px;image-rendering:pixelated;vertical-align:middle"


def card(title: str, cells: Iterable[str], note: str = "") -> str:
    """One object: its title, its cells side by side, and what else is to be said."""
    row = "".join(cells)
    return (
        f"<div><div><b>{escape(title)}</b></div>"
        f'<div style="display:flex;flex-wrap:wrap;gap:8px;margin:4px 0">{row}</div>'
        f"<div>{escape(note)}</div></div>"
    )


def image(image: Image.Image, caption: str) -> str:
    """A thumbnail over its caption."""
    image = image.copy()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    size = f"width:{THUMBNAIL}px;height:{THUMBNAIL}px;object-fit:contain"
    return _figure(image, size, caption, THUMBNAIL)


def strip(vector: Float[np.ndarray, " D"], caption: str) -> str:
    """A point as a barcode, its thumbnail: a stripe a dimension, blue below zero, red above."""
    scaled = np.clip(vector / max(float(np.abs(vector).max()), 1e-12), -1, 1)[None]
    below, above = np.maximum(-scaled, 0), np.maximum(scaled, 0)
    faded = np.stack([1 - below, 1 - above - below, 1 - above], axis=-1)
    return _figure(Image.fromarray((255 * faded).round().astype(np.uint8)), STRIP, caption, 192)


def _figure(image: Image.Image, style: str, caption: str, width: int) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    words = escape(caption)
    return (
        f'<figure style="margin:0;width:{width}px">'
        f'<img src="data:image/png;base64,{data}" alt="{words}" style="{style}">'
        f'<figcaption style="font-size:11px;overflow-wrap:anywhere">{words}</figcaption></figure>'
    )
