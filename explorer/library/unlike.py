"""Whether the images of a library, or of a query, are unlike those that its model was trained on.

Vectors say it in part; a few images, opened once a version, say the rest.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Any, Protocol

import numpy as np
from PIL import Image

from explorer.cache_files import find_cache, write_cache
from explorer.errors import DiskError, ImageError
from explorer.images import open_image
from explorer.points import Points, Side, Space

OPENED = 16  # images of a library that are looked at, spread over its rows


class Rows(Protocol):
    """What is asked of a library here."""

    @property
    def vectors(self) -> Any: ...
    def __len__(self) -> int: ...
    @property
    def model(self) -> str: ...
    @property
    def space(self) -> Space: ...
    @property
    def side(self) -> Side: ...
    @property
    def cache_key(self) -> str: ...
    @property
    def cache_folder(self) -> FilePath: ...
    def open_image(self, row: int) -> Image.Image: ...


def unlike_library(reader: Rows) -> str:
    """Return the sentence that most images are unlike those that the library's model knows."""
    from explorer.models import support_of
    from explorer.models.shared.blindness import SAMPLE_ROWS, unlike

    support = support_of(reader.model, reader.space) if len(reader) else None
    if support is None or reader.side != "image":
        return ""
    vectors = np.asarray(reader.vectors[spread(len(reader), SAMPLE_ROWS)], dtype=np.float32)
    strange = _share_off_ground(reader) if support.on_white else 0.0
    return unlike(support, Points(vectors, reader.space, "image"), len(reader), strange)


def note_query(reader: Rows, query: Points, files: Sequence[str]) -> None:
    """Note in one sentence if the images of a query are unlike those that the model knows."""
    from explorer.models import support_of
    from explorer.models.shared.blindness import note_unlike, off_ground

    support = support_of(reader.model, reader.space) if files else None
    if support is not None:
        strange = [off_ground(open_image(file)) for file in files] if support.on_white else [False]
        note_unlike(support, query, len(files), max(strange))


def spread(count: int, most: int) -> np.ndarray:
    """Rows that are spread evenly over a library, at most so many."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


def _share_off_ground(reader: Rows) -> float:
    key = f"ground-{reader.cache_key}"
    content = find_cache(reader.cache_folder / key, key)
    if content is not None:
        return float(content)
    from explorer.models.shared.blindness import off_ground

    images = [_opened(reader, int(row)) for row in spread(len(reader), OPENED)]
    found = [off_ground(image) for image in images if image is not None]
    share = float(np.mean(found)) if found else 0.0
    for old in reader.cache_folder.glob("ground-*"):
        old.unlink(missing_ok=True)
    with suppress(DiskError):  # a cache: what the disk refuses is looked at again
        write_cache(reader.cache_folder / key, key, repr(share).encode())
    return share


def _opened(reader: Rows, row: int) -> Image.Image | None:
    with suppress(ImageError):
        return reader.open_image(row)
    return None
