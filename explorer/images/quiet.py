"""Quiet: keep libtiff off stderr; our errors say what is wrong with a file, and name it."""

import ctypes
from contextlib import suppress
from functools import cache
from pathlib import Path as FilePath

import PIL
from PIL import features


@cache
def silence_libtiff() -> None:
    """Turn off the messages that libtiff, as bundled with Pillow, writes to stderr itself."""
    if not features.check("libtiff"):
        return
    package = FilePath(PIL.__file__).parent
    places = (package.parent / "pillow.libs", package.parent / "Pillow.libs", package / ".dylibs")
    for file in (file for place in places for file in place.glob("libtiff*")):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(file))
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)
