"""Forgetting: the rows of a source leave a library, in one version."""

import difflib
import os
from dataclasses import replace

import numpy as np

from explorer.errors import QueryError
from explorer.library.store import Store
from explorer.library.writer import writing_to


def forget(store: Store, source: str | os.PathLike[str]) -> int:
    """Remove the rows of a source; see `Library.forget`."""
    with writing_to(store):
        name = _known(store, os.fspath(source))
        contents = store.contents
        own = np.array(
            [each == name for each in contents.table.column("source").to_pylist()], dtype=bool
        )
        gone = np.flatnonzero(contents.live & own)
        failures = [
            replace(failure, reason="")
            for failure in contents.failures.values()
            if failure.source == name
        ]
        old = store.manifest
        store.manifest = replace(
            old,
            sources=tuple(each for each in old.sources if each.path != name),
            left_out={key: files for key, files in old.left_out.items() if key != name},
        )
        store.commit(failures=failures, retired=contents.numbers[gone].tolist())
        store.refresh()
    return len(gone)


def _known(store: Store, source: str) -> str:
    names = [record.path for record in store.manifest.sources]
    for name in (source, os.path.abspath(os.path.expanduser(source))):
        if name in names:
            return name
    near = difflib.get_close_matches(os.path.abspath(source), names, 1, 0.6)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join(map(repr, names)) or "none"
    raise QueryError(f"{source!r} is no source of {store.folder}.{guess} Its sources are: {known}.")
