"""Reading: an image file, its bytes, or a reference to a part of a file becomes upright RGB.

Every failure to read an image is an `ImageError` that gives the reason.
"""

import io
import math
import os
import stat
import warnings
from os import PathLike
from pathlib import Path as FilePath
from typing import Protocol, runtime_checkable

import PIL
from PIL import Image

from explorer.errors import ImageError
from explorer.images import budget, formats
from explorer.images.converting import PILLOW_ERRORS, as_rgb, orientation
from explorer.images.quiet import silence_libtiff
from explorer.images.remote import is_remote, read_remote

MAX_BYTES = 600_000_000
_MAGIC_BYTES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_FULL_SIZE = "unclip:full size"
_SIDEWAYS = frozenset(
    getattr(Image.Transpose, name)
    for name in ("ROTATE_90", "ROTATE_270", "TRANSPOSE", "TRANSVERSE")
)


@runtime_checkable
class Reference(Protocol):
    """A part of a file that is an image: a frame of a video, a row of a table, a tar's member."""

    def __fspath__(self) -> str: ...

    def read(self) -> bytes:
        """Return the content of an image file.

        Raises:
            ImageError: it cannot be read.
        """


def open_image(
    source: str | bytes | PathLike[str], *, max_megapixels: float | None = None
) -> Image.Image:
    """Open an image as upright RGB.

    JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG 2000 and, where rawpy is installed, the
    preview of RAW files are read; of an animation, the first frame. EXIF orientation is applied,
    16-bit grey is scaled instead of clipped, transparency becomes white, CMYK is converted through
    its ICC profile if it has one. What has over 16 megapixels is reduced to 4 … 16.

    Args:
        source: a file, or the content of one.
        max_megapixels: what is larger is refused, and what takes more memory than 4 MB for each of
            them while it is decoded, but at least 485 MB; None means 128.

    Raises:
        ImageError: it is not an image, is damaged or truncated, or is too large.

    >>> Image.new("L", (4, 2)).save("black.png")
    >>> open_image("black.png").mode
    'RGB'
    """
    return decode_image(read_bytes(source), name_of(source), max_megapixels)


def name_of(source: str | bytes | PathLike[str]) -> str:
    r"""Return a source's name for messages, with control characters escaped.

    >>> name_of("a\nb"), name_of(b"GIF89a")
    ('a\\nb', 'This image')
    """
    name = "This image" if isinstance(source, bytes) else os.fspath(source)
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def read_bytes(source: str | bytes | PathLike[str]) -> bytes:
    """Read the content of an image file; bytes are returned unchanged.

    Raises:
        ImageError: the file does not exist, is not a regular file, or has over 600 MB.
    """
    if isinstance(source, bytes):
        return source
    if isinstance(source, Reference):
        return source.read()
    name = name_of(source)
    try:
        if is_remote(os.fspath(source)):
            return read_remote(os.fsencode(source), MAX_BYTES)
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


def decode_image(
    data: bytes, name: str, max_megapixels: float | None = None, enough: int | None = None
) -> Image.Image:
    """Decode the content of a file to upright RGB.

    Args:
        name: of the file, for messages.
        max_megapixels: as for `open_image`.
        enough: pixels of the shorter side that suffice: a JPEG is decoded at a half, a quarter or
            an eighth of its size if that has them, which takes a fraction of the time.

    Raises:
        ImageError: as for `open_image`.
    """
    silence_libtiff()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about metadata that is not read
            if formats.suffix_of(name) in formats.RAW_SUFFIXES and formats.reads_raw():
                preview = formats.raw_preview(data)
                if isinstance(preview, Image.Image):
                    return as_rgb(preview, budget.reduction(preview))
                data = preview
            with formats.open_header(io.BytesIO(data), data[:12]) as image:
                return _decode(image, name, max_megapixels, enough)
    except ImageError:
        raise
    except PIL.UnidentifiedImageError:
        raise ImageError(f"{name} {_why_unknown(data)}") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large: {error}") from None
    except PILLOW_ERRORS as error:
        reason = name_of(str(error) or type(error).__name__).rstrip(".")
        raise ImageError(f"{name} is damaged or truncated: {reason}.") from None


def full_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height in the file, upright, of an image that `open_image` opened."""
    size: tuple[int, int] = image.info.get(_FULL_SIZE, image.size)
    return size


def _decode(
    image: Image.Image, name: str, max_megapixels: float | None, enough: int | None
) -> Image.Image:
    width, height = image.size
    _check_size(width, height, name, max_megapixels)
    budget.ask_for_less(image, enough)
    held = budget.decoded_bytes(image, width * height)
    most = budget.most_bytes(max_megapixels)
    if held > most:
        needed = math.ceil(held / budget.BYTES_PER_MEGAPIXEL)
        raise ImageError(
            f"{name} is too large: decoding its {width * height / 1e6:.0f} megapixels of "
            f"{image.format} takes {held / 1e9:.1f} GB of memory; at most {most / 1e6:.0f} MB are "
            f"used. Reduce it, or allow that much with --max-megapixels {needed}."
        )
    with budget.turn(held):
        image.load()
        result = as_rgb(image, budget.reduction(image))
    if result.width * result.height < width * height:
        sideways = orientation(image) in _SIDEWAYS
        result.info[_FULL_SIZE] = (height, width) if sideways else (width, height)
    return result


def _check_size(width: int, height: int, name: str, max_megapixels: float | None) -> None:
    most = budget.MAX_MEGAPIXELS if max_megapixels is None else max_megapixels
    if width * height > most * 1_000_000:
        size = f"{width * height / 1e6:.0f} megapixels ({width} × {height})"
        raise ImageError(f"{name} is too large: {size}; at most {most:g} are read.")


def _why_unknown(data: bytes) -> str:
    if not data:
        return "is empty."
    if data.startswith(_MAGIC_BYTES):
        return "is damaged or truncated: it starts like an image but its header is unreadable."
    start = name_of(data[:12].decode("latin-1"))
    return f"is not an image (it starts with {start!r}). Use one of {', '.join(formats.FORMATS)}."
