"""The font of labels: DejaVu Sans from matplotlib, since Pillow's own lacks ñ and η."""

import functools
import os
from importlib.util import find_spec

from PIL import ImageFont


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font at a size in pixels, without importing matplotlib."""
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    folder = os.path.join(os.path.dirname(package.origin), "mpl-data", "fonts", "ttf")
    return ImageFont.truetype(os.path.join(folder, "DejaVuSans.ttf"), size)
