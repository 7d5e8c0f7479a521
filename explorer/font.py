"""The font of labels: DejaVu Sans, which matplotlib brings. Pillow's own knows no ñ and no η."""

import functools
import os
from importlib.util import find_spec

from PIL import ImageFont


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font at a size in pixels, without importing matplotlib."""
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    folder = os.path.join(os.path.dirname(package.origin), "mpl-data", "fonts", "ttf")
    return ImageFont.truetype(os.path.join(folder, "DejaVuSans.ttf"), size)
