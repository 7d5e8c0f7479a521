"""Images: read files safely as upright RGB, lay out contact sheets, write files.

Every failure to read an image is an `ImageError` that gives the reason. It knows no models and no
Points.
"""

import io
import math
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import PIL
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageCms, ImageDraw, ImageOps

from explorer.errors import ImageError, QueryError
from explorer.files import writing
from explorer.font import font
from explorer.metadata import recipe_in, save_options

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_PIXELS = 64_000_000
MAX_BYTES = 600_000_000  # more than 64 megapixels of four 16-bit channels, uncompressed
_MAGIC_BYTES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
# what Pillow's decoders raise on damaged files; one such file must not stop a job
_PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, LookupError, ArithmeticError, RuntimeError, TypeError),
    *(AttributeError, AssertionError, EOFError, MemoryError, struct.error, zlib.error),
    *(Image.DecompressionBombError, ImageCms.PyCMSError),
)
_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")


def open_image(source: str | bytes | PathLike[str]) -> Image.Image:
    """Open an image as upright RGB.

    JPEG, PNG, WebP, GIF (first frame), BMP, TIFF and AVIF are read. EXIF orientation is applied,
    16-bit grey is scaled instead of clipped, transparency becomes white, CMYK is converted through
    its ICC profile if it has one.

    Args:
        source: a file, or the content of one.

    Raises:
        ImageError: it is not an image, is damaged or truncated, or has over 64 megapixels.

    >>> save_image(Image.new("L", (4, 2)), "black.png")
    >>> open_image("black.png").mode
    'RGB'
    """
    return decode_image(read_bytes(source), name_of(source))


def name_of(source: str | bytes | PathLike[str]) -> str:
    r"""Return a source's name for messages, with control characters escaped.

    >>> name_of("a\nb"), name_of(b"GIF89a")
    ('a\\nb', 'This image')
    """
    name = "This image" if isinstance(source, bytes) else os.fspath(source)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def read_bytes(source: str | bytes | PathLike[str]) -> bytes:
    """Read the content of an image file; bytes are returned unchanged.

    Raises:
        ImageError: the file does not exist, is not a regular file, or has over 600 MB.
    """
    if isinstance(source, bytes):
        return source
    name = name_of(source)
    try:
        status = os.stat(source)
        if not stat.S_ISREG(status.st_mode):  # a pipe would block
            raise ImageError(f"{name} is not a file.")
        if status.st_size > MAX_BYTES:
            size = f"{status.st_size / 1e6:.0f} MB; at most {MAX_BYTES // 10**6} MB are read"
            raise ImageError(f"{name} is too large: {size}.")
        return FilePath(source).read_bytes()
    except ImageError:
        raise
    except (OSError, ValueError, MemoryError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name} cannot be read: {reason}.") from None


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode the content of a file to upright RGB.

    Args:
        name: of the file, for messages.

    Raises:
        ImageError: as for `open_image`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about metadata that is not read
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image, name)
                image.load()
                return as_rgb(image)
    except ImageError:
        raise
    except PIL.UnidentifiedImageError:
        raise ImageError(f"{name} {_why_unknown(data)}") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large: {error}") from None
    except _PILLOW_ERRORS as error:
        reason = name_of(str(error) or type(error).__name__).rstrip(".")
        raise ImageError(f"{name} is damaged or truncated: {reason}.") from None


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow image to upright RGB, as `open_image` does.

    >>> as_rgb(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    image = _upright(image)
    if image.mode.startswith(("I", "F")):
        levels = _to_8_bit(np.asarray(image))
        return Image.fromarray(levels, "L").convert("RGB")
    if image.mode in ("CMYK", "LAB"):
        return _through_profile(image)
    if image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert("RGB")


def _check_size(image: Image.Image, name: str) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        size = f"{pixels / 1e6:.0f} megapixels ({image.width} × {image.height})"
        raise ImageError(f"{name} is too large: {size}; at most {MAX_PIXELS // 10**6} are read.")


def _why_unknown(data: bytes) -> str:
    if not data:
        return "is empty."
    if data.startswith(_MAGIC_BYTES):
        return "is damaged or truncated: it starts like an image but its header is unreadable."
    start = name_of(data[:12].decode("latin-1"))
    return f"is not an image (it starts with {start!r}). Use one of {', '.join(FORMATS)}."


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _PILLOW_ERRORS:  # damaged EXIF; the image itself may be intact
        return image


def _to_8_bit(values: Shaped[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """Scale grey levels of any range to 0 … 255; Pillow would clip nearly all to white."""
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        scaled = values * 255
    elif low >= 0 and high <= 255:
        scaled = values
    elif low >= 0 and high < 4096:  # 10 or 12 bits in a container of 16
        scaled = values * (255 / high)
    elif low >= 0 and high < 65536:
        scaled = np.floor(values / 256)
    else:
        scaled = (values - low) * (255 / (high - low or 1))
    return np.round(scaled).astype(np.uint8)


def _through_profile(image: Image.Image) -> Image.Image:
    """Convert CMYK or Lab to sRGB, through the file's own ICC profile if it is valid."""
    lab = image.mode == "LAB"
    profile: Any = ImageCms.createProfile("LAB") if lab else image.info.get("icc_profile")
    try:
        source = io.BytesIO(profile) if isinstance(profile, bytes) else profile
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image
    except _PILLOW_ERRORS:  # no profile, or a damaged one
        return image.convert("RGB")


def grid(
    images: Sequence[Image.Image],
    *,
    columns: int | None = None,
    labels: Sequence[str] | None = None,
    size: int | None = None,
    gap: int = 8,
    background: str = "white",
) -> Image.Image:
    """Lay images out as a contact sheet, row by row.

    Args:
        columns: images per row; None makes the sheet about square.
        labels: one line of text under each image, truncated with "…" to fit.
        size: side of the square tiles in pixels; None takes the longest side of all images.
        gap: pixels between tiles and around them.

    Raises:
        QueryError: there are no images, or not one label per image.

    >>> grid([Image.new("RGB", (10, 10))] * 6, columns=3, gap=2).size
    (38, 26)
    """
    if not images or (columns is not None and columns < 1):
        raise QueryError("A grid needs at least one image and one column.")
    if labels is not None and len(labels) != len(images):
        raise QueryError(f"{len(images)} images need as many labels, not {len(labels)}.")
    side = size or max(max(image.size) for image in images)
    columns = min(len(images), columns or math.ceil(math.sqrt(len(images))))
    rows = math.ceil(len(images) / columns)
    line = 0 if labels is None else 2 * max(10, side // 10)
    width, height = side + gap, side + line + gap
    sheet = Image.new("RGB", (columns * width + gap, rows * height + gap), background)
    for i, image in enumerate(images):
        left, top = gap + i % columns * width, gap + i // columns * height
        tile = ImageOps.contain(as_rgb(image), (side, side))
        sheet.paste(tile, (left + (side - tile.width) // 2, top + (side - tile.height) // 2))
        if labels is not None:
            _label(sheet, labels[i], (left, top + side), (side, line))
    return sheet


def _label(sheet: Image.Image, text: str, corner: tuple[int, int], size: tuple[int, int]) -> None:
    """Write a centred line into the box at `corner`; letters take half of its height."""
    face = font(size[1] // 2)
    text = " ".join(text.split())
    if face.getlength(text) > size[0]:
        while text and face.getlength(text + "…") > size[0]:
            text = text[:-1]
        text = text.rstrip() + "…"
    centre = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
    dark = sheet.crop((*corner, corner[0] + 1, corner[1] + 1)).convert("L").tobytes() < b"\x80"
    ImageDraw.Draw(sheet).text(centre, text, "white" if dark else "black", face, anchor="mm")


def save_image(
    image: Image.Image, file: str | PathLike[str], recipe: dict[str, Any] | None = None
) -> None:
    """Write an image; the suffix selects the format: .png, .webp (both lossless), .jpg or .jpeg.

    The file appears under its name only when it is complete.

    Args:
        recipe: what made the image, in values that JSON knows, of any size; see `read_recipe`.

    Raises:
        QueryError: the suffix is another one, or the folder does not exist.

    >>> save_image(Image.new("RGB", (4, 2)), "black.jpg", {"colour": "black"})
    >>> read_recipe("black.jpg")
    {'colour': 'black'}
    """
    file = FilePath(file)
    if file.suffix.lower() not in _SUFFIXES:
        raise QueryError(f"Cannot write {name_of(file)}: use one of {', '.join(_SUFFIXES)}.")
    if not file.parent.is_dir():
        raise QueryError(f"The folder {name_of(file.parent)} does not exist. Create it first.")
    options = save_options(file.suffix.lower(), recipe)
    with writing(file) as temporary, temporary.open("wb") as stream:
        image.save(stream, **options)


def read_recipe(file: str | PathLike[str]) -> dict[str, Any] | None:
    """Read the recipe that `save_image` wrote; None if the image has none.

    Raises:
        ImageError: the file is not an image.
    """
    data = read_bytes(file)
    decode_image(data, name_of(file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about EXIF that is cut off
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return recipe_in(image)
        except _PILLOW_ERRORS:  # metadata of another program, or damaged
            return None
