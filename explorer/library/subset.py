"""Write chosen rows of a library as a new one: same images and vectors, none embedded again."""

import os
from collections.abc import Sequence
from pathlib import Path as FilePath

import numpy as np

from explorer.errors import QueryError
from explorer.library.lock import WriterLock
from explorer.library.reader import Reader
from explorer.library.segments import OWN_COLUMNS, Row
from explorer.library.store import create_store


def write_subset(
    library: Reader, rows: Sequence[int] | np.ndarray, folder: str | os.PathLike[str]
) -> FilePath:
    """Write a new library of these rows; images stay where they are.

    It has no sources but those of vectors, so adding to it later removes none of these rows.

    Raises:
        QueryError: no rows, or there is no such row.
        LibraryError: the folder is not empty, or the disk refuses.
    """
    if not len(rows):
        raise QueryError("A subset needs at least one row, and none is chosen. Choose some images.")
    points, manifest = library.points(rows), library._store.manifest
    records = library._stored_rows(np.asarray(rows, dtype=np.int64)).to_pylist()
    kept = [
        Row(
            **{name: record.pop(name) for name in OWN_COLUMNS},
            columns=record,
            vector=vector,
        )
        for record, vector in zip(records, points.vectors, strict=True)
    ]
    store = create_store(
        FilePath(folder), library.space, manifest.dtype, library.model, library.side
    )
    with WriterLock(store.folder):
        vectors = [source for source in manifest.sources if source.kind == "vectors"]
        store.commit(rows=kept, sources=vectors)
    return store.folder
