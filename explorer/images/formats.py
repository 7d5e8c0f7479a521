"""Formats: which files are read as images, by what, and what is missing for the others."""

import os
from importlib.util import find_spec
from typing import Any

from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "HEIF")
IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c"),
    )
)
RAW_SUFFIXES = frozenset(
    (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
)
VIDEO_SUFFIXES = frozenset(
    (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".3gp")
)
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))


def suffix_of(name: bytes | str) -> str:
    """Return the suffix of a file name in lower case, with its dot; "" if it has none.

    >>> suffix_of(b"IMG_1.HEIC")
    '.heic'
    """
    return os.path.splitext(os.fsdecode(name))[1].lower()


def reads_raw() -> bool:
    """Return whether the library that reads RAW files is installed."""
    return find_spec("rawpy") is not None


def is_image(name: bytes | str) -> bool:
    """Return whether a file of this name is read as an image here."""
    suffix = suffix_of(name)
    return suffix in IMAGE_SUFFIXES or (suffix in RAW_SUFFIXES and reads_raw())


def remedy(suffix: str) -> str:
    """Return what to type so that files of this suffix are read; "" if nothing would help."""
    if suffix in RAW_SUFFIXES and not reads_raw():
        return "pip install 'unclip-explorer[raw]'"
    return "--every 2s" if suffix in VIDEO_SUFFIXES else ""


def open_header(stream: Any, start: bytes) -> Image.Image:
    """Read the header of an image with Pillow, without its pixels.

    Args:
        start: its first bytes; HEIF is read by libheif, which is loaded only for such files.
    """
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        import pi_heif

        pi_heif.register_heif_opener(thumbnails=False)
        brands = ("HEIF", "AVIF")  # either may have the brand mif1
        return Image.open(stream, formats=brands)
    return Image.open(stream, formats=[name for name in FORMATS if name != "HEIF"])


def raw_preview(data: bytes) -> bytes | Image.Image:
    """Return the preview in a RAW file: a JPEG's bytes, or an image; developed if there is none.

    Raises:
        ValueError: it is no RAW file that LibRaw can read.
    """
    import io

    import numpy as np
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            try:
                preview = raw.extract_thumb()
            except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
                return Image.fromarray(raw.postprocess(half_size=True))
            if preview.format == rawpy.ThumbFormat.JPEG:
                return bytes(preview.data)
            return Image.fromarray(np.asarray(preview.data))
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
