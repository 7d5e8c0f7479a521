"""Metadata: a recipe (JSON of any size) inside an image file, written and read.

A PNG keeps it in a text chunk; JPEG and WebP keep it in the EXIF image description. This file knows
Pillow's images; it knows no Points, and not what a recipe says.
"""

import json
import struct
from typing import Any

from PIL import Image, PngImagePlugin

IMAGE_DESCRIPTION = 0x010E  # EXIF 2.3, table 4
MAX_SEGMENT_BYTES = 65_533  # of content, in one segment of a JPEG
_NAME = "unclip"
_EXIF_HEADER = b"Exif\0\0"


def save_options(suffix: str, recipe: dict[str, Any] | None) -> dict[str, Any]:
    """Return what Pillow's `save` needs to write an image with its recipe.

    Args:
        suffix: ".png" or ".webp" (both lossless), ".jpg" or ".jpeg".
        recipe: values that JSON knows; None writes none.
    """
    chunk, exif = PngImagePlugin.PngInfo(), Image.Exif()
    if recipe is not None:
        chunk.add_text(_NAME, json.dumps(recipe))
        exif[IMAGE_DESCRIPTION] = json.dumps({_NAME: recipe})
    if suffix == ".png":
        return {"format": "PNG", "pnginfo": chunk}
    if suffix == ".webp":
        return {"format": "WEBP", "lossless": True, "exif": exif}
    content = exif.tobytes()
    fits = len(content) <= MAX_SEGMENT_BYTES
    metadata = {"exif": content} if fits else {"extra": _segments(content)}
    return {"format": "JPEG", "quality": 95, "subsampling": 0, **metadata}


def _segments(exif: bytes) -> bytes:
    """Split EXIF over several APP1 segments, which Pillow and ExifTool join again.

    Source: ExifTool, "JPEG Tags", multi-segment EXIF; the EXIF standard has one segment only.
    """
    content, step = exif.removeprefix(_EXIF_HEADER), MAX_SEGMENT_BYTES - len(_EXIF_HEADER)
    parts = (_EXIF_HEADER + content[i : i + step] for i in range(0, len(content), step))
    return b"".join(b"\xff\xe1" + struct.pack(">H", 2 + len(part)) + part for part in parts)


def recipe_in(image: Image.Image) -> dict[str, Any] | None:
    """Read the recipe of an opened image file; None if its metadata holds something else.

    Raises:
        ValueError: the metadata is not JSON.
    """
    own = image.info.get(_NAME)
    text = own or image.getexif().get(IMAGE_DESCRIPTION, "")
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    recipe = values if own else values.get(_NAME)
    return recipe if isinstance(recipe, dict) else None
