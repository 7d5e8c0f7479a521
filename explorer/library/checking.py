"""Verify stored files against their checksums; move damaged ones to quarantine/, deleting none."""

import os
from collections import Counter
from dataclasses import replace

import numpy as np

from explorer.errors import LibraryDamaged
from explorer.files import make_folder, move_into
from explorer.library.contents import Contents
from explorer.library.lock import WriterLock
from explorer.library.manifest import (
    RETIRED,
    Manifest,
    SegmentRecord,
    manifest_file,
    read_manifest,
    versions,
)
from explorer.library.segments import read_retired
from explorer.library.store import Store, explain_failure

ROWS_PER_READ = 4096  # of vectors


def verify(store: Store, read_data: bool) -> list[str]:
    """List what is wrong; see `Library.verify`."""
    problems = _damaged_manifests(store)
    newest = _newest(store)
    bad = {s.id: store.checked.problems(s, read_data) for s in newest.segments}
    problems += [problem for found in bad.values() for problem in found.values()]
    store.checked.save(newest.segments)
    if read_data and not any(bad.values()):
        problems += _check_data(store, newest)
    return problems


def _newest(store: Store) -> Manifest:
    """Return the newest manifest that can be read, even where files that it names are missing."""
    for version in versions(store.folder):
        try:
            return read_manifest(store.folder, version)
        except (LibraryDamaged, OSError):
            continue
    return store.manifest


def _damaged_manifests(store: Store) -> list[str]:
    problems = []
    for version in versions(store.folder):
        try:
            read_manifest(store.folder, version)
        except (LibraryDamaged, OSError) as error:
            problems.append(f"{manifest_file(store.folder, version)}: {error}.")
    return problems


def _check_data(store: Store, manifest: Manifest) -> list[str]:
    """Check what checksums cannot: that rows, vectors and counts belong together."""
    problems = []
    contents = Contents(store.folder, manifest, store.checked)
    for segment in manifest.segments:
        for start in range(0, segment.rows, ROWS_PER_READ):
            rows = np.arange(start, min(start + ROWS_PER_READ, segment.rows))
            vectors = contents.vectors(segment.first_row + rows)
            norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
            if not np.all(np.isfinite(norms) & (norms > 0)):
                problems.append(f"Segment {segment.id} holds vectors of length zero or not finite.")
                break
    if contents.table.num_rows != len(contents.numbers):
        problems.append(f"{len(contents.numbers)} vectors have {contents.table.num_rows} rows.")
    elif len(contents.living) != manifest.rows:
        problems.append(
            f"{len(contents.living)} rows are not retired; the manifest says {manifest.rows}."
        )
    else:
        names = zip(
            contents.table.column("path").to_pylist(),
            contents.table.column("member").to_pylist(),
            contents.live,
            strict=True,
        )
        count = Counter((path, member) for path, member, live in names if live)
        twice = [os.fsdecode(b"/".join(filter(None, k))) for k, n in count.items() if n > 1]
        problems += [f"{name!r} has more than one row." for name in twice]
    return problems


def repair(store: Store) -> list[str]:
    """Move damaged segments and manifests to quarantine/; see `Library.repair`."""
    done = []
    quarantine = store.folder / "quarantine"
    with WriterLock(store.folder), explain_failure(store.folder, store.manifest.rows):
        newest = _newest(store)
        bad_versions = [v for v in versions(store.folder) if not _readable(store, v)]
        bad = [s for s in newest.segments if store.checked.problems(s, read_data=True)]
        if not bad and not bad_versions:
            return []
        make_folder(quarantine)
        if bad:
            bad_ids = {segment.id for segment in bad}
            whole = tuple(s for s in newest.segments if s.id not in bad_ids)
            removed = _retired_by(store, bad)
            store.publish(replace(newest, segments=whole))
            _retire_superseded(store, removed)
        for segment in bad:
            folder = store.folder / "segments" / segment.id
            if folder.exists():
                move_into(folder, quarantine)
            done.append(f"Segment {segment.id} ({segment.rows:,} rows) was moved to quarantine/.")
        for version in bad_versions:
            file = manifest_file(store.folder, version)
            move_into(file, quarantine)
            done.append(f"Manifest {file.name} was moved to quarantine/.")
        if not bad:
            store.publish(newest)
        store.refresh()
    return done


def _readable(store: Store, version: int) -> bool:
    try:
        read_manifest(store.folder, version)
    except (LibraryDamaged, OSError):
        return False
    return True


def _retired_by(store: Store, segments: list[SegmentRecord]) -> set[int]:
    """Return the numbers of the rows that damaged segments had retired, where that is intact."""
    known = [
        read_retired(store.folder, segment)
        for segment in segments
        if RETIRED in segment.files and RETIRED not in store.checked.problems(segment)
    ]
    return {int(number) for numbers in known for number in numbers}


def _retire_superseded(store: Store, removed: set[int]) -> None:
    """Retire again what lost segments had retired, and rows whose name a newer row has."""
    contents = store.contents
    latest: dict[tuple[bytes, bytes], int] = {}
    retired: list[int] = []
    paths = contents.table.column("path").to_pylist()
    members = contents.table.column("member").to_pylist()
    for index in np.flatnonzero(contents.live):
        if int(contents.numbers[index]) in removed:
            retired.append(int(contents.numbers[index]))
            continue
        key = paths[index], members[index]
        if key in latest:
            retired.append(int(contents.numbers[latest[key]]))
        latest[key] = int(index)
    store.manifest = replace(store.manifest, rows=len(contents.living))
    store.commit(retired=retired)
