"""Store: one library folder, opened at one version; find a version, and add the next.

manifests/00000007.json    segments/<uuid>/…    cache/    lock    quarantine/ (after a repair)
"""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path as FilePath
from shlex import quote
from typing import Any

from explorer import refusals
from explorer.errors import LibraryError
from explorer.files import ABANDONED_SECONDS, collect_temporary, make_folder
from explorer.images import name_of
from explorer.library.checked_files import CheckedFiles
from explorer.library.contents import Contents
from explorer.library.lock import WriterLock
from explorer.library.manifest import (
    DType,
    Manifest,
    SourceRecord,
    readable_manifests,
    versions,
    write_manifest,
)
from explorer.library.opening import open_newest
from explorer.library.segments import Failure, Row, write_segment
from explorer.library.staging import Staged, number
from explorer.notes import note
from explorer.points import Side, Space

_OWN_NAMES = {"manifests", "segments", "cache", "lock"}


class Store:
    """A library folder at one version.

    Raises:
        LibraryNotFound: there is no library.
        LibraryDamaged: there is one, but no manifest of it can be trusted.
    """

    def __init__(self, folder: FilePath) -> None:
        self.folder = folder.absolute()
        self.warnings: list[str] = []
        self.excluded: dict[str, int] = {}  # by the last `add`: pattern → files and folders
        self.checked = CheckedFiles(self.folder)
        self.refresh()

    def refresh(self) -> None:
        """Go to the newest version that is whole; `warnings`, and a note, say what is not used."""
        opened = open_newest(self.folder, self.checked)
        self.warnings, self.damaged = [opened.warning] if opened.warning else [], opened.damaged
        self._use(opened.manifest)
        self.checked.save(opened.manifest.segments)
        if opened.warning:
            note(opened.warning, damage=True)

    @property
    def nothing(self) -> str:
        """The sentence for who asks for images of a library that has none."""
        place = quote(str(self.folder))
        if self.damaged:
            return f"No image of {self.folder} is left that is intact: unclip repair {place}"
        return f"The library {self.folder} holds no images: unclip index FOLDER --library {place}"

    def _use(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.contents = Contents(self.folder, manifest, self.checked)

    def commit(
        self,
        rows: Sequence[Row] = (),
        failures: Sequence[Failure] = (),
        retired: Sequence[int] = (),
        sources: Sequence[SourceRecord] = (),
        left_out: dict[str, dict[str, int]] | None = None,
        staged: Sequence[Staged] = (),
    ) -> None:
        """Write the next version, durably: it is on disk when this returns. The lock must be held.

        Args:
            retired: numbers of living rows.
            left_out: files that were not read, source → suffix → how many; None: as before.
            staged: segments that are written already; they come after `rows`, in this order.

        Raises:
            LibraryError: the disk is full or refuses; the version before is still the newest.
        """
        old = self.manifest
        with explain_failure(self.folder, old.rows):
            segments = old.segments
            if rows or failures or retired:
                segment = write_segment(
                    self.folder, old.next_row, old.dtype, rows, failures, retired
                )
                segments += (segment,)
            numbered = number(staged, old.next_row + len(rows))
            new_rows = len(rows) + sum(segment.rows for segment in numbered)
            gone = len(retired) + sum(each.retired for each in staged)
            new = replace(
                old,
                rows=old.rows + new_rows - gone,
                next_row=old.next_row + new_rows,
                sources=tuple(dict.fromkeys((*old.sources, *sources))),
                segments=segments + numbered,
                left_out=old.left_out if left_out is None else left_out,
            )
            self.publish(new)

    def publish(self, manifest: Manifest) -> None:
        """Write `manifest` under the next free version and use it."""
        version = max(versions(self.folder), default=0) + 1
        created = datetime.now(UTC).isoformat(timespec="seconds")
        known = {segment.id for segment in self.manifest.segments}
        for segment in manifest.segments:
            if segment.id not in known:
                self.checked.trust(segment)
        self._use(write_manifest(self.folder, replace(manifest, version=version, created=created)))

    def collect_garbage(self) -> None:
        """Delete files of crashed writers: over an hour old, and named by no manifest.

        Nothing but temporary names is deleted while a manifest is damaged: it may name more.
        """
        collect_temporary(self.folder / "cache")
        manifests = list(readable_manifests(self.folder))
        named = {segment.id for manifest in manifests for segment in manifest.segments}
        all_readable = len(manifests) == len(versions(self.folder))
        before = time.time() - ABANDONED_SECONDS
        for entry in [*self.folder.glob("segments/*"), *self.folder.glob("manifests/.tmp-*")]:
            temporary = entry.name.startswith(refusals.TEMPORARY)
            with suppress(OSError):
                if (temporary or (all_readable and entry.name not in named)) and (
                    entry.stat().st_mtime < before
                ):
                    if entry.is_dir():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink()


def explain_failure(folder: FilePath, saved: int) -> AbstractContextManager[None]:
    """Turn a failure of the disk into a LibraryError that says how many rows are saved."""
    return refusals.explain_failure(folder, kind=LibraryError, saved=explain_saved(saved))


def explain_saved(rows: int) -> str:
    """Say how many rows are saved, when writing more of them fails."""
    return f"{rows:,} rows are saved; the same command goes on from there."


def create_store(
    folder: FilePath, space: Space, dtype: DType, model: str, side: Side = "image"
) -> Store:
    """Create an empty library in a folder that is missing or empty.

    Raises:
        LibraryError: the folder holds a library or other files, or the disk refuses.
        LibraryLocked: another process is creating one there.
    """
    if dtype not in ("float32", "float16"):
        raise LibraryError(f'dtype is {dtype!r}; a library stores "float32" or "float16".')
    if side not in ("image", "text"):
        raise LibraryError(f'side is {side!r}; a library holds "image" or "text" points.')
    folder = folder.absolute()
    _check_free(folder)
    with explain_failure(folder, 0):
        make_folder(folder)
        with WriterLock(folder):
            _check_free(folder)
            for name in ("manifests", "segments"):
                make_folder(folder / name)
            write_manifest(folder, _first(space, dtype, model, side))
    return Store(folder)


def _first(space: Space, dtype: DType, model: str, side: Side) -> Manifest:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(1, space, model, dtype, created=created, side=side)


def _check_free(folder: FilePath) -> None:
    if folder.exists() and not folder.is_dir():
        raise LibraryError(f"{folder} is a file; a library needs a folder. Choose another.")
    if versions(folder):
        raise LibraryError(
            f"There is a library in {folder} already. Open it, or choose another folder."
        )
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    strange = sorted(names - _OWN_NAMES)
    if strange:  # these names alone are a library whose creation was interrupted
        raise LibraryError(
            f"{folder} is not a library and not empty: it holds {strange[0]!r}. "
            "Choose a folder that is empty or does not exist."
        )


def left_out(manifest: Manifest) -> dict[str, int]:
    """Return how many files of each suffix the sources hold that are not read, most first."""
    counts: Counter[str] = Counter()
    for of_source in manifest.left_out.values():
        counts.update(of_source)
    return dict(counts.most_common())


def summary(store: Store, columns: Sequence[str]) -> dict[str, Any]:
    """Return what `Library.info` shows."""
    manifest, living = store.manifest, len(store.contents.living)
    return {
        "folder": str(store.folder),
        "rows": living,
        "model": manifest.model,
        "space": manifest.space.name,
        "dimension": manifest.space.dimension,
        "fingerprint": manifest.space.fingerprint,
        "dtype": manifest.dtype,
        "side": manifest.side,
        "unit_vectors_from": [name_of(s.path) for s in manifest.sources if s.unit],
        "bytes": sum(file.size for s in manifest.segments for file in s.files.values()),
        "columns": list(columns),
        "errors": len(store.contents.failures),
        "sources": [name_of(source.path) for source in manifest.sources],
        "left_out": left_out(manifest),
        "version": manifest.version,
        "versions": versions(store.folder),
        "segments": len(manifest.segments),
        "retired": len(store.contents.numbers) - living,
        "created": manifest.created,
        "warnings": list(store.warnings),
    }
