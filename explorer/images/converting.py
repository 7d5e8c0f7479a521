"""Converting: any Pillow image becomes upright 8-bit RGB, a strip of rows at a time.

No copy of a large image is made: each strip is converted, reduced if asked, and put in its place.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import ExifTags, Image, ImageCms

# what Pillow's decoders raise on damaged files; one such file must not stop a job
PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, LookupError, ArithmeticError, RuntimeError, TypeError),
    *(AttributeError, AssertionError, EOFError, MemoryError, struct.error, zlib.error),
    *(Image.DecompressionBombError, ImageCms.PyCMSError),
)
STRIP_PIXELS = 1_000_000
_Turn = Image.Transpose
_TURNS = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}


def as_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """Convert any Pillow image to upright RGB, as `open_image` does.

    Args:
        factor: what width and height are divided by, rounded up; each pixel is a mean.

    >>> as_rgb(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    turn = orientation(image)
    size = (-(-image.width // factor), -(-image.height // factor))
    result = Image.new("RGB", size)
    levels = _range(image) if image.mode.startswith(("I", "F")) else (0.0, 0.0)
    for top, strip in _strips(image, factor):
        flat = _flat(strip, levels)
        result.paste(flat.reduce(factor) if factor > 1 else flat, (0, top // factor))
    return result.transpose(turn) if turn is not None else result


def orientation(image: Image.Image) -> Image.Transpose | None:
    """Return how a stored image is turned upright; None if it is, or if its EXIF is damaged."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (*PILLOW_ERRORS,):  # the image itself may be intact
        return None


def _strips(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield strips of whole rows, each a multiple of `factor` high but the last."""
    rows = max(1, STRIP_PIXELS // max(image.width, 1) // factor) * factor
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flat(image: Image.Image, levels: tuple[float, float]) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bit(np.asarray(image), *levels), "L").convert("RGB")
    if image.mode in ("CMYK", "LAB"):
        return _through_profile(image)
    if image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert("RGB")


def _finite(values: Shaped[np.ndarray, "H W"]) -> Shaped[np.ndarray, "H W"]:
    return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest grey level of the whole image."""
    extremes = [
        (float(values.min()), float(values.max()))
        for _, strip in _strips(image, 1)
        for values in [_finite(np.asarray(strip))]
    ]
    return min(low for low, _ in extremes), max(high for _, high in extremes)


def _to_8_bit(
    values: Shaped[np.ndarray, "H W"], low: float, high: float
) -> UInt8[np.ndarray, "H W"]:
    """Scale grey levels of any range to 0 … 255; Pillow would clip nearly all to white."""
    values = _finite(values)
    if low >= 0 and high <= 1:
        values *= 255
    elif low >= 0 and high <= 255:
        pass
    elif low >= 0 and high < 4096:  # 10 or 12 bits in a container of 16
        values *= 255 / high
    elif low >= 0 and high < 65536:
        values = np.floor(values / 256)
    else:
        values = (values - low) * (255 / (high - low or 1))
    return np.round(values).astype(np.uint8)


def _through_profile(image: Image.Image) -> Image.Image:
    """Convert CMYK or Lab to sRGB, through the file's own ICC profile if it is valid."""
    lab = image.mode == "LAB"
    profile: Any = ImageCms.createProfile("LAB") if lab else image.info.get("icc_profile")
    try:
        source = io.BytesIO(profile) if isinstance(profile, bytes) else profile
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image
    except (*PILLOW_ERRORS,):  # no profile, or a damaged one
        return image.convert("RGB")
