"""What a library is searched by: exact in memory while it is small, approximate once it is large.

The approximate index lies in the library's cache under one name. It is sealed: FAISS reads its own
format without looking whether it is well formed, so an index that somebody sends is built again. It
holds all stored rows, those that were retired too, and knows of which segments; so it grows by the
rows of later segments, and is built again only when the rows were written anew or have become many
more.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.cache_files import find_sealed, write_sealed
from explorer.errors import DiskError, LibraryDamaged, QueryError
from explorer.index import Index
from explorer.index.approximate import GROWTH, PROMISE, ApproximateIndex, build
from explorer.index.saving import Summary, pack, summary_of, unpack
from explorer.index.stored import PART_ROWS, exact_search
from explorer.library.contents import Contents, Vectors
from explorer.library.manifest import VECTORS
from explorer.notes import note

Kind = Literal["auto", "exact", "approximate"]
SMALL_NUMBERS = 2**25  # rows × dimension, up to which every row is compared: milliseconds
LEAST_ROWS = 1000  # of which an approximate index is built
SAVED_GROWTH = 1000  # new rows, from which on a grown index is written again
FORMAT = "approximate index 6"
NAME = "index-approximate"  # of its file


class StoredUnits:
    """All stored rows of a library at length 1, retired ones too, read where they are asked for."""

    def __init__(self, contents: Contents, dimension: int) -> None:
        self._contents, self._dimension = contents, dimension

    def __len__(self) -> int:
        return len(self._contents.numbers)

    @property
    def dimension(self) -> int:
        """Return D."""
        return self._dimension

    def units(self, rows: Int[np.ndarray, " K"]) -> Float[np.ndarray, "K D"]:
        """Read these rows.

        Raises:
            LibraryDamaged: one has no direction, or is not what was written.
        """
        return to_units(self._contents.vectors(self._contents.numbers[rows]), rows, np.float32)


class LivingIndex:
    """An index of stored rows, asked and answering in living rows.

    Args:
        found_by: None compares all rows, read from disk each time.
    """

    def __init__(self, contents: Contents, source: StoredUnits, found_by: Any) -> None:
        self._source, self._found_by = source, found_by
        self._live: np.ndarray | None = None
        if not contents.live.all():
            self._live = contents.live.copy()
            self._live.setflags(write=False)
        self._places = np.flatnonzero(contents.live)  # of the living rows among the stored ones
        self._widened: tuple[np.ndarray, np.ndarray] | None = None

    def search(
        self,
        queries: Float[np.ndarray, "Q D"],
        k: int,
        allowed: Bool[np.ndarray, " N"] | None = None,
    ) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
        """Find the nearest rows; see `Index.search`."""
        if k < 1:
            raise QueryError(f"k is {k}, but must be 1 or more.")
        mask = self._wide(allowed)
        if self._found_by is None:
            k = min(k, len(self._places) if allowed is None else int(allowed.sum()))
            scores, rows = exact_search(self._source, queries, k, mask)
        else:
            scores, rows = self._found_by.search(queries, k, mask)
        return scores, rows if self._live is None else np.searchsorted(self._places, rows)

    def scores(self, query: Float[np.ndarray, " D"]) -> Float[np.ndarray, " N"]:
        """Return the exact score of one query with every living row."""
        found = [units @ query.astype(np.float32) for units in self.parts(PART_ROWS)]
        return np.concatenate([np.zeros(0, np.float32), *found])

    def parts(self, size: int) -> Iterator[Float[np.ndarray, "P D"]]:
        """Yield the unit vectors of the living rows, part by part."""
        for start in range(0, len(self._places), size):
            yield self._source.units(self._places[start : start + size])

    def _wide(self, allowed: Bool[np.ndarray, " N"] | None) -> Bool[np.ndarray, " S"] | None:
        """Return a mask of the stored rows; the same one again for a mask that stays."""
        if self._live is None:
            return allowed
        if allowed is None:
            return self._live
        if self._widened is None or self._widened[0] is not allowed:
            wide = np.zeros(len(self._live), dtype=bool)
            wide[self._places[allowed]] = True
            wide.setflags(write=allowed.flags.writeable)
            if allowed.flags.writeable:
                return wide
            self._widened = allowed, wide
        return self._widened[1]


def is_small(contents: Contents, dimension: int) -> bool:
    """Say whether all rows are compared because they are few."""
    return len(contents.living) * dimension <= SMALL_NUMBERS


def is_current(folder: FilePath, contents: Contents, dimension: int) -> bool:
    """Say whether a search has nothing to build, and but few rows to add."""
    if is_small(contents, dimension):
        return True
    content, source = find_sealed(folder / NAME, FORMAT), StoredUnits(contents, dimension)
    if content is None:
        return False
    summary = summary_of(content)
    grew = _grew(summary, _segments(contents), source)
    return grew and len(source) - summary.rows < SAVED_GROWTH


def find_index(
    folder: FilePath, contents: Contents, dimension: int, kind: Kind = "auto"
) -> Index | LivingIndex:
    """Return what to search by; build it, or let it grow, where the cache has none that fits.

    Args:
        folder: of the library's cache.
        kind: "auto", or which one in any case; its recall is not asked for then.

    Raises:
        QueryError: there is no such kind.
    """
    if kind not in ("auto", "exact", "approximate"):
        raise QueryError(f'index is {kind!r}; it is "auto", "exact" or "approximate".')
    source = StoredUnits(contents, dimension)
    small = is_small(contents, dimension)
    if kind == "exact" and not small:
        return LivingIndex(contents, source, None)
    forced = kind == "approximate" and len(source) >= LEAST_ROWS
    if not small or forced:
        found = _approximate(folder / NAME, contents, source, forced)
        if isinstance(found, ApproximateIndex):
            return LivingIndex(contents, source, found)
        note(
            f"The approximate index finds {found.recall:.1%} of the nearest rows of this library, "
            f"less than {PROMISE:.0%}, so all rows are compared: the search is exact, and slower."
        )
    key = contents.points_key
    return exact_index(folder / f"index-v3-{key}", key, Vectors(contents, dimension))


def _approximate(
    file: FilePath, contents: Contents, source: StoredUnits, forced: bool
) -> ApproximateIndex | Summary:
    """Return the index, or what it was found to be if its recall is too low."""
    segments = _segments(contents)
    content = find_sealed(file, FORMAT)
    if content is not None:
        summary = summary_of(content)
        if not summary.kept and not forced and _grew(summary, segments, source):
            return summary
        index = _grown(content, summary, segments, source)
        if index is not None:
            if len(index) - summary.rows >= SAVED_GROWTH:
                _save(file, pack(index, segments, forced))
            return index
    index = build(source)
    packed = pack(index, segments, forced)
    _save(file, packed)
    return index if forced or index.recall >= PROMISE else summary_of(packed)


def _grown(
    content: bytes, summary: Summary, segments: list[str], source: StoredUnits
) -> ApproximateIndex | None:
    """Return a saved index with all rows of the library; None if it must be built again."""
    if not _grew(summary, segments, source):
        return None
    index = unpack(content, source)
    if index is None or (summary.rows < len(source) and not index.grow(source)):
        return None
    return index


def _grew(summary: Summary, segments: list[str], source: StoredUnits) -> bool:
    """Say whether the rows that an index was built of are still the library's first ones."""
    same = summary.of == segments[: len(summary.of)]
    return same and summary.rows <= len(source) <= GROWTH * summary.built_rows


def _segments(contents: Contents) -> list[str]:
    return [s.files[VECTORS].sha256 for s in contents.segments if s.rows]


def _save(file: FilePath, content: bytes) -> None:
    with suppress(DiskError, OSError):  # a cache: what the disk refuses is built again
        write_sealed(file, FORMAT, content)


def told_index(folder: FilePath, contents: Contents, dimension: int) -> dict[str, Any]:
    """Say how a library is searched, without building anything, in plain values."""
    size = 4 * len(contents.living) * dimension
    exact: dict[str, Any] = {"index": "exact", "index_recall": 1.0, "index_bytes": size}
    if is_small(contents, dimension):
        return exact
    content = find_sealed(folder / NAME, FORMAT)
    if content is None:
        return {"index": "built at the first search", "index_recall": None, "index_bytes": None}
    summary = summary_of(content)
    if not summary.kept:
        return exact | {"index": f"exact, since {summary.kind} finds {summary.recall:.3f}"}
    return {
        "index": summary.kind,
        "index_recall": round(summary.recall, 4),
        "index_bytes": (folder / NAME).stat().st_size,
    }


def exact_index(file: FilePath, key: str, vectors: Vectors) -> Index:
    """Load the cached index, or make an exact one; a damaged cache is noted and built again."""
    damaged = False
    try:
        index = Index.load(file, key)
        if (len(index), index.dimension) != (len(vectors), vectors.dimension):
            raise LibraryDamaged(f"The index cache {file} is of other vectors.")
        return index
    except FileNotFoundError:
        pass
    except (LibraryDamaged, OSError):
        note(f"The index cache {file} was damaged, so it was built again; the search is exact.")
        damaged = True
    index = Index(units(vectors), vectors.dimension)
    if damaged:
        with suppress(DiskError):  # a cache: what the disk refuses is built again
            index.save(file, key)
    return index


def units(vectors: Vectors) -> Iterator[Float[np.ndarray, "N D"]]:
    """Yield all vectors at length 1, part by part.

    Raises:
        LibraryDamaged: one has no direction.
    """
    for start in range(0, len(vectors), PART_ROWS):
        part = vectors[start : start + PART_ROWS]
        yield to_units(part, np.arange(start, start + len(part)))


def to_units(
    vectors: Float[np.ndarray, "N D"], rows: Int[np.ndarray, " N"], precision: type = np.float64
) -> Float[np.ndarray, "N D"]:
    """Bring vectors to length 1, which is summed up in this precision.

    Raises:
        LibraryDamaged: one has no direction.
    """
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    if precision is np.float64 or not np.all((norms > 1e-15) & (norms < 1e15)):
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.all(np.isfinite(norms) & (norms > 0)):
        raise LibraryDamaged(
            f"The library holds vectors without a direction between rows {rows[0]} and "
            f"{rows[-1] + 1}. To list all damage: unclip verify LIBRARY --read-data"
        )
    return np.asarray(vectors / norms, dtype=np.float32)
