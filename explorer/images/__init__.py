"""Images: read files safely as upright RGB, lay out contact sheets, write files.

Every failure to read an image is an `ImageError` that gives the reason. It knows no models and no
Points.
"""

from explorer.images.converting import as_rgb
from explorer.images.formats import FORMATS
from explorer.images.reading import decode_image, full_size, name_of, open_image, read_bytes
from explorer.images.sheets import fitted, grid, read_recipe, save_image

__all__ = [
    "FORMATS",
    "as_rgb",
    "decode_image",
    "fitted",
    "full_size",
    "grid",
    "name_of",
    "open_image",
    "read_bytes",
    "read_recipe",
    "save_image",
]
