"""Asked: what reads the queries of a library, and the words that were asked for before.

The points of words are kept in the cache. Words that gave a note are not, so that it is given each
time. The words themselves are not written down, only their checksum: a library may be handed on.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path as FilePath

import numpy as np

from explorer.cache_files import find_cache, write_cache
from explorer.encoder import Encoder
from explorer.errors import DiskError
from explorer.notes import collecting, note
from explorer.points import Points, Space

MOST = 1000  # texts; those that were written first are forgotten
FILE = "asked-v1"


@dataclass(frozen=True)
class Asked:
    """Reads the terms of a query as a library's encoder does, which it loads for new ones only.

    Args:
        folder: of caches.
        encoder: returns the encoder.
    """

    space: Space
    folder: FilePath
    encoder: Callable[[], Encoder]

    def encode_text(self, texts: Sequence[str]) -> Points:
        """Encode words; errors are those of the encoder."""
        known, keys = self._read(), [_key(text) for text in texts]
        if all(key in known for key in keys):
            return Points(np.stack([known[k] for k in keys]), self.space, "text", tuple(texts))
        with collecting() as notes:
            points = self.encoder().encode_text(texts)
        for each in notes:
            note(each)
        if not notes:
            self._write(known | dict(zip(keys, points.vectors, strict=True)))
        return points

    def encode_images(self, images: Sequence[str | PathLike[str]]) -> Points:
        """Encode images; errors are those of the encoder."""
        return self.encoder().encode_images(images)

    def _read(self) -> dict[bytes, np.ndarray]:
        content = find_cache(self.folder / FILE, self.space.fingerprint) or b""
        if len(content) % self._row.itemsize:  # of another writer
            return {}
        rows = np.frombuffer(content, self._row)
        usable = np.isfinite(rows["vector"]).all(1) & rows["vector"].any(1)
        return {row["key"].tobytes(): row["vector"] for row in rows[usable]}

    def _write(self, known: dict[bytes, np.ndarray]) -> None:
        kept = list(known.items())[-MOST:]
        rows = np.array([(np.void(key), vector) for key, vector in kept], self._row)
        with suppress(DiskError):  # a cache: what the disk refuses is encoded again
            write_cache(self.folder / FILE, self.space.fingerprint, rows.tobytes())

    @property
    def _row(self) -> "np.dtype[np.void]":
        return np.dtype([("key", "V32"), ("vector", "<f4", (self.space.dimension,))])


def own_encoder(
    folder: FilePath, model: str, space: Space, load: Callable[[str], Encoder]
) -> Encoder:
    """Return the encoder of a library's model; for words it need not be loaded.

    Args:
        load: loads the encoder of a model by its name.

    Raises:
        UnknownModel, WeightsMissing, SpaceMismatch: it cannot be loaded on the library's word.
    """
    from explorer.models.light import light_encoder
    from explorer.models.shared.on_word import named_by
    from explorer.models.trust import check_named

    by = f"The library {folder}"
    with named_by(by, space):
        name = check_named(model, by)
        return light_encoder(name, space, lambda: load(name)) or load(name)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
