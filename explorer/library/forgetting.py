"""Forgetting: the rows of a source leave a library, in one version."""

import difflib
import os
import shlex
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
    place = os.path.abspath(os.path.expanduser(source))
    for name in (source, place):
        if name in names:
            return name
    whole = next((name for name in names if place.startswith(name.rstrip(os.sep) + os.sep)), None)
    if whole is not None:
        part = os.path.relpath(place, whole)
        words = ["unclip", "index", whole, "--library", str(store.folder), "--exclude", part]
        raise QueryError(
            f"{source!r} is a part of the source {whole!r}, and forget removes whole sources. To "
            f"leave it out, index that source in this way each time: {shlex.join(words)}"
        )
    near = difflib.get_close_matches(place, names, 1, 0.6)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    known = f" Its sources are: {', '.join(map(repr, names)) or 'none'}." if near != names else ""
    raise QueryError(f"{source!r} is no source of {store.folder}.{guess}{known}")
