"""The sample library: the drawings that ship with the package, indexed once for each model.

And changes of them by words that pocket makes well.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import LibraryLocked
from explorer.files import make_folder
from explorer.library import Library
from explorer.library.manifest import versions
from explorer.models import Model, load
from explorer.models.shared.known_weights import known_weights
from explorer.models.shared.short_names import long_name
from explorer.places import caches_folder

IMAGES = FilePath(__file__).parent / "sample" / "images"
EXAMPLES = FilePath(__file__).parent / "weights" / "pocket" / "examples.json"


@dataclass(frozen=True)
class Example:
    """A sample drawing that words change into another one.

    Args:
        start: its file.
        target: the file of a drawing of what it becomes, of the same style.
        before: what it shows.
        after: what it becomes.
        fraction, through_prior: as for `edits.text_diff`.
    """

    start: FilePath
    target: FilePath
    before: str
    after: str
    fraction: float | None = None
    through_prior: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `edits.text_diff`."""
        names = ("before", "after", "fraction", "through_prior")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON; files are relative to the sample's images."""
        files = {name: getattr(self, name).relative_to(IMAGES).as_posix() for name in ENDS}
        return files | self.options


ENDS = ("start", "target")


@cache
def sample_edits() -> tuple[Example, ...]:
    """Read the text diffs that pocket makes best, the clearest first.

    They were chosen by `python -m pocket.examples` among hundreds, by a network that did not train
    with pocket.

    >>> import explorer as ex
    >>> from explorer.samples import sample_edits
    >>> best = sample_edits()[0]
    >>> edit = ex.edits.text_diff(ex.load("pocket"), best.start, frames=4, **best.options)
    >>> len(edit)
    4
    """
    stored = json.loads(EXAMPLES.read_text("utf-8"))["edits"]
    return tuple(Example(**each | {name: IMAGES / each[name] for name in ENDS}) for each in stored)


@cache
def sample_walks() -> tuple[tuple[FilePath, FilePath], ...]:
    """Read pairs of sample drawings between which pocket shows most, the clearest first."""
    stored = json.loads(EXAMPLES.read_text("utf-8"))["walks"]
    return tuple((IMAGES / first, IMAGES / second) for first, second in stored)


def sample_library(
    model: Model | str = "pocket", folder: str | PathLike[str] | None = None
) -> Library:
    """Open the library of the sample images; the first call creates it, in half a minute.

    It waits for another process that is creating it. A model that is named, and was loaded here
    before, is loaded only for images that are new.

    Args:
        model: a model, or its name.
        folder: None takes one of the user's cache, another for every space and installation.

    >>> import explorer as ex
    >>> ex.sample_library().search("a smiling cat", k=1).table["caption"][0]  # doctest: +SKIP
    'grinning cat, noto'
    """
    if isinstance(model, str):
        known = None if folder is not None else known_weights(long_name(model))
        if known is not None and versions(place := _folder(known.fingerprint)):
            return _filled(lambda: Library.open(place))
        model = load(model)
    if folder is None:
        folder = _folder(model.space.fingerprint)
        make_folder(folder.parent)
    return _filled(partial(Library.open_or_create, folder, model))


def _folder(fingerprint: str) -> FilePath:
    """Return where the user's cache has the sample library of a space."""
    here = hashlib.sha256(os.fsencode(IMAGES)).hexdigest()  # another installation has its own
    return caches_folder() / f"sample-{fingerprint[:8]}-{here[:8]}.lib"


def _filled(opened: Callable[[], Library]) -> Library:
    """Add the images that the library lacks, once no other process adds some."""
    while True:
        library = opened()
        try:
            library.add([IMAGES], workers=0)
            return library
        except LibraryLocked:
            time.sleep(1)
