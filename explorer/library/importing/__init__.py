"""Importing: vectors that exist become rows of a library, a committed segment at a time.

`plan` looks at everything first and writes nothing; `run` writes. Nothing is ever unpickled.
"""

import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fsdecode
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.library.importing.arrays import array_part
from explorer.library.importing.beside import Beside, beside
from explorer.library.importing.parts import Part, Record, chunks
from explorer.library.importing.rows import Naming
from explorer.library.importing.rows import run as _run
from explorer.library.importing.sources import parts_of
from explorer.library.manifest import SourceRecord
from explorer.library.store import Store
from explorer.points import Side, Space

if TYPE_CHECKING:
    import pandas as pd

AnyVectors = str | PathLike[str] | np.ndarray
COLUMNS = ("vector", "path", "caption")  # what a person may say the column of
UNIT_TOLERANCE = 2e-3  # of a length: unit vectors that went through float16 are that exact


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is. Of `total` vectors, `done` are dealt with, `committed` on disk."""

    done: int
    total: int
    committed: int
    added: int
    unchanged: int  # there already, from this import or because their image was indexed
    repeated: int  # name an image that an earlier row names: left out


@dataclass(frozen=True)
class VectorImport:
    """Vectors that were looked at, and are fit to be imported; made by `plan`.

    Args:
        parts: the files, in order.
        counts: vectors in each.
        naming: which columns name images and captions.
        unit: all have length 1, so the length that the encoder gave them is lost.
    """

    parts: list[Part]
    counts: list[int]
    naming: Naming
    unit: bool
    side: Side
    space: Space
    dtypes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of vectors."""
        return sum(self.counts)

    @property
    def records(self) -> list[SourceRecord]:
        """What the library lists as their sources."""
        names = dict.fromkeys(part.source for part in self.parts)
        return [SourceRecord("vectors", fsdecode(name), self.unit) for name in names]

    def sample(self, count: int) -> Iterator[tuple[np.ndarray, Record, Part]]:
        """Yield vectors with their columns and file, spread over the files, for a check.

        There are more than `count`, so that rows whose image cannot be read may be passed over.
        """
        chosen = np.unique(np.linspace(0, len(self.parts) - 1, min(len(self.parts), count)))
        for index in chosen.astype(int):
            vectors, records = next(chunks(self.parts[index], self.counts[index], columns=True))
            most = -(-count // len(chosen))
            spread = np.linspace(0, len(vectors) - 1, min(len(vectors), 4 * most)).astype(int)
            rows = [*spread[::4], *spread[1::4], *spread[2::4], *spread[3::4]]
            yield from ((vectors[row], records[row], self.parts[index]) for row in rows)

    def run(self, store: Store) -> Generator[ImportProgress]:
        """Write what the library has not yet; yield after every segment, at least once.

        What was yielded as committed is on disk; a later run of the same import goes on from there.

        Raises:
            LibraryLocked, LibraryError: as `Library.add`.
        """
        steps = _run(store, self.parts, self.counts, self.naming, self.records, self.side)
        for done, committed, counts in steps:
            yield ImportProgress(
                done,
                self.total,
                committed,
                counts["added"],
                counts["unchanged"],
                counts["repeated"],
            )


def plan(
    vectors: Sequence[AnyVectors] | AnyVectors,
    space: Space,
    side: Side = "image",
    *,
    table: "str | PathLike[str] | pd.DataFrame | None" = None,
    images: str | PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> VectorImport:
    """Look at all vectors and write nothing; see `Library.add_vectors`.

    Raises:
        QueryError: a file cannot be used, with the reason.
    """
    chosen = dict(columns or {})
    if unknown := set(chosen) - set(COLUMNS):
        raise QueryError(
            f"`columns` says which column holds what: {', '.join(COLUMNS)}, not {min(unknown)!r}."
        )
    given = [vectors] if isinstance(vectors, str | PathLike | np.ndarray) else list(vectors)
    if not given:
        raise QueryError("There are no vectors to import: name at least one file.")
    parts = [part for one in given for part in _parts(one, space, side, chosen.get("vector"))]
    root = None if images is None else os.path.abspath(os.fsencode(images))
    if root is not None and not os.path.isdir(root):
        raise QueryError(f"The folder of images {name_of(fsdecode(root))} does not exist.")
    looked = [_look(part, space) for part in parts]
    counts = [count for count, _, _ in looked]
    _check_counts(parts, counts)
    if table is not None:
        parts = _with_table(parts, counts, beside(table))
    naming = Naming(chosen.get("path"), chosen.get("caption"), root, side)
    for part, count in zip(parts, counts, strict=True):
        naming.check(part, next(chunks(part, count, columns=True))[1][0])
    unit = all(max(1 - low, high - 1) <= UNIT_TOLERANCE for _, low, high in looked)
    return VectorImport(parts, counts, naming, unit, side, space, [part.dtype for part in parts])


def _parts(one: AnyVectors, space: Space, side: Side, column: str | None) -> list[Part]:
    if isinstance(one, np.ndarray):
        return [array_part(one, space)]
    path = os.path.abspath(os.fsencode(one))
    if re.match(r"[a-z][a-z0-9+.-]+://", os.fspath(one)):
        raise QueryError(f"{name_of(one)} is an address: fetch the file first, then import it.")
    return parts_of(path, space, side, column)


def _look(part: Part, space: Space) -> tuple[int, float, float]:
    """Read all vectors once: how many there are, and their least and greatest length."""
    count, low, high = 0, np.inf, 0.0
    for vectors, _ in part.read(False):
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
        bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
        if len(bad):
            what = "is zero" if norms[bad[0]] == 0 else "holds NaN or infinity"
            raise QueryError(
                f"Row {count + int(bad[0]):,} of {part.name} {what}, so it has no direction: take "
                "such rows out, with their rows of the table."
            )
        count += len(vectors)
        low, high = min(low, float(norms.min())), max(high, float(norms.max()))
    if not count:
        raise QueryError(f"{part.name} holds no vectors; {space.name} needs N × {space.dimension}.")
    return count, low, high


def _check_counts(parts: list[Part], counts: list[int]) -> None:
    for part, count in zip(parts, counts, strict=True):
        if part.beside is not None and part.beside.count != count:
            raise QueryError(
                f"{part.name} has {count:,} vectors, but {part.beside.name} has "
                f"{part.beside.count:,} rows: there must be one row for each vector, in order."
            )


def _with_table(parts: list[Part], counts: list[int], table: Beside) -> list[Part]:
    total = sum(counts)
    if table.count != total:
        raise QueryError(
            f"There are {total:,} vectors, but {table.name} has {table.count:,} rows: there must "
            "be one row for each vector, in the order of the vectors."
        )
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    return [part.with_table(table, start) for part, start in zip(parts, starts, strict=True)]
