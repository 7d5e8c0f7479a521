"""The sample library: the drawings that ship with the package, indexed once with pocket."""

import os
import time
from os import PathLike
from pathlib import Path as FilePath

from explorer.encoder import Encoder
from explorer.errors import LibraryLocked
from explorer.library import Library

IMAGES = FilePath(__file__).parent / "sample" / "images"


def sample_library(encoder: Encoder, folder: str | PathLike[str] | None = None) -> Library:
    """Open the library of the sample images; the first time it is made, in half a minute.

    Where another process makes it just now, this one waits.

    Args:
        folder: None takes one of the user's cache, another for every Space.
    """
    if folder is None:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        folder = FilePath(cache) / "unclip" / f"sample-{encoder.space.fingerprint[:8]}.lib"
        folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        library = Library.open_or_create(folder, encoder.space)
        try:
            for _ in library.add([IMAGES], encoder, workers=0):
                pass
            return library
        except LibraryLocked:
            time.sleep(1)
