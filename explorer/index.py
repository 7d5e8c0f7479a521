"""Index: the nearest of N unit vectors, exactly, by FAISS.

It works on arrays of directions and returns scores and row numbers. It knows no images, no
files of images and no library. An index is a cache: it can be built again at any time.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path as FilePath
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.errors import LibraryDamaged, QueryError
from explorer.files import writing

WORK_PER_CALL = 4e9  # multiply-adds; FAISS does not hear Ctrl-C within one call


class Index:
    """The nearest of N unit vectors by inner product, which is the cosine.

    Args:
        unit: N × D unit vectors, or an iterable of such parts, so that they need not all be in
            memory twice.
        dimension: D.

    >>> index = Index(np.eye(3, dtype=np.float32), 3)
    >>> scores, rows = index.search(np.eye(3, dtype=np.float32)[1:2], k=1)
    >>> float(scores[0, 0]), int(rows[0, 0])
    (1.0, 1)
    """

    def __init__(
        self, unit: Float[np.ndarray, "N D"] | Iterable[Float[np.ndarray, "N D"]], dimension: int
    ) -> None:
        self._flat: Any = _faiss().IndexFlatIP(dimension)
        for part in [unit] if isinstance(unit, np.ndarray) else unit:
            self._check(part, "The vectors")
            self._flat.add(np.ascontiguousarray(part, dtype=np.float32))

    def __len__(self) -> int:
        return int(self._flat.ntotal)

    @property
    def dimension(self) -> int:
        """D."""
        return int(self._flat.d)

    def search(
        self,
        queries: Float[np.ndarray, "Q D"],
        k: int,
        allowed: Bool[np.ndarray, " N"] | None = None,
    ) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
        """Find the `k` nearest rows of every query, best first.

        K is `k`, or the number of allowed rows where there are fewer; no row is ever padded.

        Args:
            allowed: which rows may be found; None allows all.

        Raises:
            QueryError: other dimension, not finite, k < 1, or `allowed` of another length.
        """
        self._check(queries, "The queries")
        if k < 1:
            raise QueryError(f"k is {k}, but it counts neighbours: ask for 1 or more.")
        if allowed is not None and allowed.shape != (len(self),):
            raise QueryError(
                f"`allowed` has shape {allowed.shape}, but the index holds {len(self)} rows."
            )
        available = len(self) if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, available)
        if k == 0 or not len(queries):
            return np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        step = max(1, int(WORK_PER_CALL / (len(self) * self.dimension)))
        parts = [
            self._search_part(queries[start : start + step], k, allowed)
            for start in range(0, len(queries), step)
        ]
        return np.concatenate([s for s, _ in parts]), np.concatenate([r for _, r in parts])

    def _search_part(
        self, queries: Float[np.ndarray, "Q D"], k: int, allowed: Bool[np.ndarray, " N"] | None
    ) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
        if allowed is None:
            return self._flat.search(queries, k)
        faiss = _faiss()
        selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        return self._flat.search(queries, k, params=faiss.SearchParameters(sel=selector))

    def _check(self, vectors: Float[np.ndarray, "N D"], name: str) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise QueryError(
                f"{name} have shape {vectors.shape}, but this index is of dimension "
                f"{self.dimension}: it needs an array N × {self.dimension}. "
                "Encode both with the same model."
            )
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise QueryError(f"{name} are not all finite: row {row} holds NaN or infinity.")

    def save(self, file: str | PathLike[str], key: str) -> None:
        """Write the index as a cache that `load` trusts only under the same `key`.

        Raises:
            DiskError: the disk is full or refuses; no half cache is left.
        """
        content = _faiss().serialize_index(self._flat).tobytes()
        with writing(FilePath(file)) as temporary, temporary.open("wb") as handle:
            handle.write(_header(key, content))
            handle.write(content)

    @classmethod
    def load(cls, file: str | PathLike[str], key: str) -> Self:
        """Read what `save` wrote.

        Raises:
            LibraryDamaged: its content is not what was written, or was made for another `key`.
        """
        with open(file, "rb") as handle:
            header = handle.readline(4096)
            content = handle.read()
        if header != _header(key, content):
            raise LibraryDamaged(
                f"The index cache {os.fspath(file)} is damaged or was made for other vectors. "
                "Delete it; it can be built again."
            )
        index = cls.__new__(cls)
        index._flat = _faiss().deserialize_index(np.frombuffer(content, dtype=np.uint8))
        return index


def _header(key: str, content: bytes) -> bytes:
    checksum = hashlib.sha256(content).hexdigest()
    return json.dumps({"key": key, "sha256": checksum}).encode() + b"\n"


def _faiss() -> Any:
    """Import FAISS on first use; its stubs do not know the arguments that its wrappers take."""
    import faiss

    return faiss
