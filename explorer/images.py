"""Images from files, safely: upright, RGB, of a bounded size; contact sheets; images to files.

Every failure to read an image is one `ImageError` with the reason. This room knows no models and
no Points.
"""

import io
import json
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
from PIL import Image, ImageCms, ImageDraw, ImageOps, PngImagePlugin

from explorer.errors import ImageError, QueryError
from explorer.files import writing
from explorer.font import font

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_PIXELS = 64_000_000
MAX_BYTES = 600_000_000  # 64 megapixels of four 16-bit channels, uncompressed, with room to spare
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
# What Pillow's decoders raise on damaged files: one such file must not stop a job.
_FAILURES = (
    *(OSError, SyntaxError, ValueError, LookupError, ArithmeticError, RuntimeError, TypeError),
    *(AttributeError, AssertionError, EOFError, MemoryError, struct.error, zlib.error),
    *(Image.DecompressionBombError, ImageCms.PyCMSError),
)
_IMAGE_DESCRIPTION = 0x010E  # EXIF 2.3, table 4
_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")


def open_image(source: str | bytes | PathLike[str]) -> Image.Image:
    """Open an image, a file or the content of one, as upright RGB.

    JPEG, PNG, WebP, GIF (first frame), BMP, TIFF and AVIF only. EXIF orientation is applied, 16-bit
    grey is scaled instead of clipped, transparency is laid on white, CMYK is converted through its
    ICC profile if there is one.

    Raises:
        ImageError: it is no image, is damaged or cut off, or has over 64 megapixels.
    """
    return decode_image(read_bytes(source), name_of(source))


def name_of(source: str | bytes | PathLike[str]) -> str:
    r"""Name a source in messages: on one line of any terminal or table, whatever the file's name.

    >>> name_of("a\nb"), name_of(b"GIF89a")
    ('a\\nb', 'This image')
    """
    name = "This image" if isinstance(source, bytes) else os.fspath(source)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def read_bytes(source: str | bytes | PathLike[str]) -> bytes:
    """Read the content of one image file; bytes are returned as they are.

    Raises:
        ImageError: there is no such file, it is not a plain file, or it is too large for an image.
    """
    if isinstance(source, bytes):
        return source
    name = name_of(source)
    try:
        status = os.stat(source)
        if not stat.S_ISREG(status.st_mode):  # a pipe would block
            raise ImageError(f"{name} is not a file.")
        if status.st_size > MAX_BYTES:
            size = f"{status.st_size / 1e6:.0f} MB; at most {MAX_BYTES // 10**6}"
            raise ImageError(f"{name} is too large for an image: {size}.")
        return FilePath(source).read_bytes()
    except ImageError:
        raise
    except (OSError, ValueError, MemoryError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name} cannot be read: {reason}.") from None


def decode_image(data: bytes, name: str) -> Image.Image:
    """Turn the content of a file into upright RGB; `name` stands in the messages.

    Raises:
        ImageError: as `open_image`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about metadata that we do not read
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
    except _FAILURES as error:
        reason = name_of(str(error) or type(error).__name__).rstrip(".")
        raise ImageError(f"{name} is damaged or cut off: {reason}.") from None


def as_rgb(image: Image.Image) -> Image.Image:
    """Make any image of Pillow upright RGB: see `open_image`.

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
        raise ImageError(f"{name} is too large: {size}; at most {MAX_PIXELS // 10**6}.")


def _why_unknown(data: bytes) -> str:
    if not data:
        return "is empty."
    if data.startswith(_BEGINNINGS):
        return "is damaged or cut off: it begins like an image but has no readable header."
    beginning = name_of(data[:12].decode("latin-1"))
    return f"is not an image (it begins with {beginning!r}); {', '.join(FORMATS)} are read."


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _FAILURES:  # the EXIF is damaged; the image itself may still be good
        return image


def _to_8_bit(values: Shaped[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """Scale grey levels of any range to 0…255, where Pillow would clip nearly all to white."""
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
    """CMYK or Lab to sRGB, by the file's own profile where it has a good one."""
    lab = image.mode == "LAB"
    profile: Any = ImageCms.createProfile("LAB") if lab else image.info.get("icc_profile")
    try:
        source = io.BytesIO(profile) if isinstance(profile, bytes) else profile
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image
    except _FAILURES:  # no profile, or a damaged one: the plain conversion is what is left
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
    """Lay images out as one contact sheet, row by row.

    Args:
        columns: images a row; None makes the sheet about square.
        labels: a line of text under each image; one that is too long ends in "…".
        size: side of the square tiles in pixels; None takes the longest side of any image.
        gap: pixels between tiles and around them.

    Raises:
        QueryError: there are no images, or not one label an image.

    >>> grid([Image.new("RGB", (10, 10))] * 6, columns=3, gap=2).size
    (38, 26)
    """
    if not images or (columns is not None and columns < 1):
        raise QueryError("A grid needs at least one image and one column.")
    if labels is not None and len(labels) != len(images):
        raise QueryError(f"{len(images)} images came with {len(labels)} labels.")
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
            _write(sheet, labels[i], (left, top + side), (side, line))
    return sheet


def _write(sheet: Image.Image, text: str, corner: tuple[int, int], room: tuple[int, int]) -> None:
    """Write one centred line in the size that half the room's height allows."""
    written = font(room[1] // 2)
    text = " ".join(text.split())
    if written.getlength(text) > room[0]:
        while text and written.getlength(text + "…") > room[0]:
            text = text[:-1]
        text = text.rstrip() + "…"
    place = (corner[0] + room[0] / 2, corner[1] + room[1] / 2)
    dark = sheet.crop((*corner, corner[0] + 1, corner[1] + 1)).convert("L").tobytes() < b"\x80"
    ImageDraw.Draw(sheet).text(place, text, "white" if dark else "black", written, anchor="mm")


def save_image(
    image: Image.Image, file: str | PathLike[str], recipe: dict[str, Any] | None = None
) -> None:
    """Write an image by its suffix: .png, .webp (both lossless), .jpg or .jpeg.

    It appears under its name only when it is complete.

    Args:
        recipe: what made the image, in values that JSON knows; it goes into the metadata.

    Raises:
        QueryError: the suffix is another one, the folder does not exist, or the recipe is too long.
    """
    file = FilePath(file)
    if file.suffix.lower() not in _SUFFIXES:
        raise QueryError(f"{name_of(file)} cannot be written; use one of {', '.join(_SUFFIXES)}.")
    if not file.parent.is_dir():
        raise QueryError(f"The folder {name_of(file.parent)} does not exist.")
    options = _options(file.suffix.lower(), recipe)
    with writing(file) as temporary, temporary.open("wb") as stream:
        image.save(stream, **options)


def _options(suffix: str, recipe: dict[str, Any] | None) -> dict[str, Any]:
    chunk, exif, text = PngImagePlugin.PngInfo(), Image.Exif(), json.dumps(recipe)
    if recipe is not None:
        chunk.add_text("unclip", text)
        exif[_IMAGE_DESCRIPTION] = json.dumps({"unclip": recipe})
    if suffix == ".png":
        return {"format": "PNG", "pnginfo": chunk}
    if len(text) > 60_000:  # a JPEG segment ends at 64 KiB
        raise QueryError(f"A recipe of {len(text)} characters fits into a .png only.")
    kind = {"format": "JPEG", "quality": 95, "subsampling": 0}
    return {**({"format": "WEBP", "lossless": True} if suffix == ".webp" else kind), "exif": exif}


def read_recipe(file: str | PathLike[str]) -> dict[str, Any] | None:
    """Read what `save_image` wrote into an image's metadata; None if there is nothing.

    Raises:
        ImageError: the file is no image.
    """
    data = read_bytes(file)
    decode_image(data, name_of(file))
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        try:
            own = "unclip" in image.info
            text = image.info["unclip"] if own else image.getexif()[_IMAGE_DESCRIPTION]
            recipe = json.loads(text) if own else json.loads(text)["unclip"]
        except _FAILURES:  # no recipe of ours, or damaged metadata
            return None
    return recipe if isinstance(recipe, dict) else None
