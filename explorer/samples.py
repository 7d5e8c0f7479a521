"""The sample library: the drawings that ship with the package, indexed once for each model."""

import hashlib
import os
import time
from os import PathLike
from pathlib import Path as FilePath

from explorer.errors import LibraryLocked
from explorer.files import make_folder
from explorer.library import Library
from explorer.models import Model, load
from explorer.places import caches_folder

IMAGES = FilePath(__file__).parent / "sample" / "images"


def sample_library(
    model: Model | str = "pocket", folder: str | PathLike[str] | None = None
) -> Library:
    """Open the library of the sample images; the first call creates it, in half a minute.

    It waits for another process that is creating it.

    Args:
        model: a model, or its name.
        folder: None takes one of the user's cache, another for every space and installation.

    >>> import explorer as ex
    >>> ex.sample_library().search("a smiling cat", k=1).table["caption"][0]  # doctest: +SKIP
    'grinning cat, noto'
    """
    model = load(model) if isinstance(model, str) else model
    if folder is None:
        here = hashlib.sha256(os.fsencode(IMAGES)).hexdigest()  # another installation has its own
        name = f"sample-{model.space.fingerprint[:8]}-{here[:8]}.lib"
        folder = caches_folder() / name
        make_folder(folder.parent)
    while True:
        library = Library.open_or_create(folder, model)
        try:
            library.add([IMAGES], workers=0)
            return library
        except LibraryLocked:
            time.sleep(1)
