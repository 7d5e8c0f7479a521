"""Budget: how much memory decoding an image takes, and one large image at a time.

What counts is what lies in memory while an image is decoded, which its file's size does not tell:
a TIFF of 184 KB and a WebP of 2.5 KB can take gigabytes.
"""

import ctypes
import fcntl
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import Image

MAX_MEGAPIXELS = 128  # phones take up to 108
MAX_DECODED_BYTES = 485_000_000
BYTES_PER_MEGAPIXEL = 4_000_000  # of a limit that a person sets: a pixel of RGB in memory
KEPT_PIXELS = 16_000_000  # what is larger is reduced while it is converted
_ONE_AT_A_TIME_BYTES = 80_000_000
# bytes a pixel that a decoder and Pillow hold at once; measured, see tests/test_memory.py
_BYTES_PER_PIXEL = {"WEBP": 16, "AVIF": 10, "HEIF": 7}
_thread_turn = threading.Lock()
_turn_file: list[str] = []  # of the workers that share one budget


def most_bytes(max_megapixels: float | None) -> int:
    """Return how much memory decoding may take: more where a person allows larger images.

    >>> most_bytes(None), most_bytes(6), most_bytes(500)
    (485000000, 485000000, 2000000000)
    """
    allowed = min(max_megapixels or 0, 1e9)
    return max(MAX_DECODED_BYTES, int(allowed * BYTES_PER_MEGAPIXEL))


def reduction(image: Image.Image) -> int:
    """Return by how much width and height are divided, so that `KEPT_PIXELS` remain."""
    return max(1, math.ceil(math.sqrt(image.width * image.height / KEPT_PIXELS)))


def ask_for_less(image: Image.Image, enough: int | None = None) -> None:
    """Let the decoder of a large JPEG or JPEG 2000 give a smaller image, before it is decoded.

    Args:
        enough: pixels that the shorter side must keep; of a JPEG no more are asked for than a half,
            a quarter or an eighth of its size that has them. None: as many as are kept.
    """
    factor = reduction(image)
    if enough is not None and image.format in ("JPEG", "MPO"):
        factor = max(factor, min(image.size) // enough)
    if factor == 1:
        return
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (image.width // factor, image.height // factor))
    elif image.format == "JPEG2000":
        image.reduce = min(int(math.log2(factor)), 5)  # type: ignore[method-assign, assignment]


def decoded_bytes(image: Image.Image, pixels: int) -> int:
    """Estimate the most memory that decoding and converting takes, in bytes.

    Args:
        image: its header, after `ask_for_less`.
        pixels: as the file has them.
    """
    each = _BYTES_PER_PIXEL.get(image.format or "")
    if each is not None:
        held = each * pixels
    elif image.format == "JPEG2000":
        small = pixels >> 2 * (image.reduce if isinstance(image.reduce, int) else 0)
        held = small * (8 * len(image.getbands()) + 4)
    else:
        held = image.width * image.height * _pixel_bytes(image.mode)
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        held += int(2 * pixels * _samples_per_pixel(image))  # all coefficients, at full size
    if image.format == "TIFF":
        held += _strip_bytes(image)
    return held + 4 * pixels // reduction(image) ** 2


def _pixel_bytes(mode: str) -> int:
    if mode in ("1", "L", "P"):
        return 1
    return 2 if mode.startswith("I;16") else 4


def _samples_per_pixel(image: Image.Image) -> float:
    """Return how many samples of all components a JPEG stores for each pixel: 1.5 for 4:2:0."""
    layers = getattr(image, "layer", None) or [(0, 1, 1, 0)] * len(image.getbands())
    each = [across * down for _, across, down, *_ in layers]
    return sum(each) / max(max(each), 1)


def _strip_bytes(image: Image.Image) -> int:
    """Return the size of the largest strip or tile of a TIFF, decompressed, and of its rotation."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, samples = tags.get(258, (8,)), tags.get(277, 1)
    width = tags.get(322, image.width)
    rows = tags.get(323, min(tags.get(278, image.height), image.height))
    strip = width * rows * max(bits) * samples // 8
    turned = tags.get(274, 1) != 1
    return strip + turned * image.width * image.height * _pixel_bytes(image.mode)


def share_turns(file: str) -> None:
    """Let this process take turns with others that share `file`, image by large image."""
    _turn_file[:] = [file]


def give_back() -> None:
    """Give memory that decoding has freed back to the system; glibc keeps it for each thread."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def turn(held: int) -> Iterator[None]:
    """Wait until no other large image is decoded, in this process or those that share its turns.

    A file lock ends with its process, so a worker that dies does not stop the others.
    """
    if held < _ONE_AT_A_TIME_BYTES:
        yield
        return
    with _thread_turn:
        handle = None
        with suppress(OSError):
            handle = os.open(_turn_file[0], os.O_RDWR) if _turn_file else None
        try:
            if handle is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            if handle is not None:
                os.close(handle)
