"""Index: exact nearest neighbours among N unit vectors, by numpy, or FAISS for many queries.

It works on arrays of directions and returns scores and row numbers; it knows no images and no
library. An index is a cache: it can be built again at any time. FAISS is imported where there are
many queries: a search by words, which has one, spends as long on its import as on everything else.
"""

import os
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path as FilePath
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.cache_files import read_cache, write_cache
from explorer.errors import LibraryDamaged, QueryError
from explorer.index.checks import available, check_vectors, faiss_module
from explorer.index.stored import best

MULTIPLY_ADDS_PER_CALL = 4e9  # neither FAISS nor BLAS reacts to Ctrl-C within one call
FEW_QUERIES = 8  # that are compared without FAISS, whatever they are compared with
FEW_SCORES = 2**21  # that are computed without FAISS
GATHERED = 4  # where fewer than one row in this many is allowed, the allowed ones are copied
ROUNDING = 1e-5  # by which cosines differ that BLAS sums up in another order


class Index:
    """Exact search among N unit vectors by inner product, which is the cosine.

    Args:
        unit: N × D unit vectors, or an iterable of such arrays, which saves memory.
        dimension: D.

    Raises:
        QueryError: the vectors have another dimension, or are not finite.

    >>> index = Index(np.eye(3, dtype=np.float32), 3)
    >>> scores, rows = index.search(np.eye(3, dtype=np.float32)[1:2], k=1)
    >>> float(scores[0, 0]), int(rows[0, 0])
    (1.0, 1)
    """

    def __init__(
        self, unit: Float[np.ndarray, "N D"] | Iterable[Float[np.ndarray, "N D"]], dimension: int
    ) -> None:
        parts = [np.zeros((0, dimension), np.float32)]
        for part in [unit] if isinstance(unit, np.ndarray) else unit:
            check_vectors(part, dimension, "The vectors")
            parts.append(np.asarray(part, dtype=np.float32))
        self._vectors = np.concatenate(parts)

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dimension(self) -> int:
        """Return D."""
        return int(self._vectors.shape[1])

    def search(
        self,
        queries: Float[np.ndarray, "Q D"],
        k: int,
        allowed: Bool[np.ndarray, " N"] | None = None,
    ) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
        """Return the scores and rows of the `k` nearest neighbours of every query, best first.

        K is `k`, or the number of allowed rows if there are fewer; results are never padded.

        Args:
            allowed: mask of the rows to search; None searches all.

        Raises:
            QueryError: the queries have another dimension or are not finite, `k` is below 1, or
                `allowed` has another length.
        """
        check_vectors(queries, self.dimension, "The queries")
        k = available(k, allowed, len(self))
        if k == 0 or not len(queries):
            return np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if len(queries) <= FEW_QUERIES or len(queries) * len(self) <= FEW_SCORES:
            return self._search_few(queries, k, allowed)
        step = max(1, int(MULTIPLY_ADDS_PER_CALL / (len(self) * self.dimension)))
        parts = [
            self._search_part(queries[start : start + step], k, allowed)
            for start in range(0, len(queries), step)
        ]
        return np.concatenate([s for s, _ in parts]), np.concatenate([r for _, r in parts])

    @property
    def vectors(self) -> Float[np.ndarray, "N D"]:
        """Return the unit vectors as they lie in memory, without a copy; do not write to them."""
        return self._vectors

    def parts(self, size: int) -> Iterator[Float[np.ndarray, "P D"]]:
        """Yield the unit vectors, `size` rows at a time."""
        for start in range(0, len(self), size):
            yield self.vectors[start : start + size]

    def scores(self, query: Float[np.ndarray, " D"]) -> Float[np.ndarray, " N"]:
        """Return the score of one query with every row, in about the time of one search."""
        check_vectors(query[None], self.dimension, "The queries")
        return self._vectors @ query.astype(np.float32)

    def _search_few(
        self, queries: Float[np.ndarray, "Q D"], k: int, allowed: Bool[np.ndarray, " N"] | None
    ) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
        """Search without FAISS; a score depends on its row and query alone."""
        rows = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed)
        gathered = len(rows) * GATHERED < len(self)
        compared = self._vectors[rows] if gathered else self._vectors
        found = []
        for query, scores in zip(queries, queries @ compared.T, strict=True):
            scores = scores if gathered or allowed is None else scores[rows]
            least = np.partition(scores, -k)[-k] - ROUNDING * np.linalg.norm(query)
            near = rows[scores >= least]
            found.append(best(np.einsum("nd,d->n", self._vectors[near], query), near, k))
        return np.stack([scores for scores, _ in found]), np.stack([rows for _, rows in found])

    def _search_part(
        self, queries: Float[np.ndarray, "Q D"], k: int, allowed: Bool[np.ndarray, " N"] | None
    ) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
        faiss = faiss_module()
        scores = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        arrays = [faiss.swig_ptr(array) for array in (queries, self._vectors)]
        sizes = self.dimension, len(queries), len(self), k
        selector = None
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        found = faiss.swig_ptr(scores), faiss.swig_ptr(rows)
        faiss.knn_inner_product(*arrays, *sizes, *found, selector)
        return scores, rows

    def save(self, file: str | PathLike[str], key: str) -> None:
        """Write the index as a cache that `load` trusts only under the same `key`.

        Raises:
            DiskError: the disk is full or refuses; no half cache is left.
        """
        content = np.uint32(self.dimension).tobytes() + self.vectors.tobytes()
        write_cache(FilePath(file), key, content)

    @classmethod
    def load(cls, file: str | PathLike[str], key: str) -> Self:
        """Read an index that `save` wrote.

        Raises:
            FileNotFoundError: there is none.
            LibraryDamaged: the file is damaged, or was written under another `key`.
        """
        content = read_cache(file, key)
        if content is None:
            raise LibraryDamaged(
                f"The index cache {os.fspath(file)} was made for other vectors. "
                "Delete it; it can be built again."
            )
        # numbers alone: FAISS reads its own format without looking whether it is well formed
        try:
            dimension = int(np.frombuffer(content[:4], np.uint32)[0])
            return cls(
                np.frombuffer(content, np.float32, offset=4).reshape(-1, dimension), dimension
            )
        except (ValueError, IndexError, ZeroDivisionError, QueryError) as error:
            raise LibraryDamaged(
                f"The index cache {os.fspath(file)} holds no vectors. Delete it; it can be built "
                "again."
            ) from error
