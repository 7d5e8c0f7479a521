"""Which version of a library is opened, what of it is used, and what must be said about it."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from explorer.errors import LibraryDamaged, LibraryNotFound
from explorer.library.checked_files import CheckedFiles
from explorer.library.manifest import (
    RETIRED,
    ROWS,
    VECTORS,
    Manifest,
    SegmentRecord,
    read_manifest,
    versions,
)
from explorer.library.segments import remedy

MAX_NAMED = 3  # damaged segments in a warning
Problems = Mapping[str, Mapping[str, str]]  # segment → its damaged files → what is wrong


@dataclass(frozen=True)
class Opened:
    """What is used of a library.

    Args:
        manifest: with only what is intact.
        warning: what was left out, and what to type; "" if nothing was.
        damaged: the manifest lacks some of what the version holds.
    """

    manifest: Manifest
    warning: str = ""
    damaged: bool = False


def open_newest(folder: FilePath, checked: CheckedFiles) -> Opened:
    """Return the newest version that is whole, or what is intact of the newest if that is more.

    Raises:
        LibraryNotFound: there is no library.
        LibraryDamaged: there is one, but no manifest of it can be trusted.
    """
    found = versions(folder)
    if not found:
        raise LibraryNotFound(
            f"There is no library in {folder}. Create one with Library.create, or with "
            "`unclip index FOLDER --library LIBRARY`."
        )
    skipped: list[str] = []
    newer: list[str] = []  # than what is left of a version
    partial: tuple[Manifest, Problems] | None = None
    for version in found:
        try:
            manifest = read_manifest(folder, version)
        except (LibraryDamaged, OSError) as error:
            skipped.append(f"Version {version} was skipped: {error}.")
            continue
        bad = {s.id: problems for s in manifest.segments if (problems := checked.problems(s))}
        if not bad:
            intact = _stored(_intact(*partial)) if partial else 0
            if partial and (intact > _stored(manifest) or not manifest.segments):
                break  # a version of before the first image tells nothing of what was lost
            return Opened(manifest, _older(folder, skipped, manifest))
        skipped.append(f"Version {version} was skipped: {_damage(manifest, bad)}")
        partial, newer = (partial, newer) if partial else ((manifest, bad), skipped[:-1])
    if partial is None:
        raise LibraryDamaged(
            f"No manifest of the library {folder} can be trusted: {' '.join(skipped)} Restore "
            "the folder from a backup, or index the images again into a new library."
        )
    left = _intact(*partial)
    return Opened(left, " ".join([*newer, _damage(*partial), remedy(folder)]), True)


def _older(folder: FilePath, skipped: list[str], manifest: Manifest) -> str:
    if not skipped:
        return ""
    used = f"Version {manifest.version} is used, with {manifest.rows:,} rows."
    return f"{' '.join(skipped)} {used} {remedy(folder)}"


def _stored(manifest: Manifest) -> int:
    return sum(segment.rows for segment in manifest.segments)


def _intact(manifest: Manifest, bad: Problems) -> Manifest:
    """Leave out the rows of damaged segments, and all else of them that is damaged."""
    segments = tuple(_usable(segment, bad.get(segment.id, {})) for segment in manifest.segments)
    left = replace(manifest, segments=segments)
    checksum = hashlib.sha256(left.encode()).hexdigest()
    return replace(left, sha256=checksum)  # its caches are others than those of the whole version


def _usable(segment: SegmentRecord, bad: Collection[str]) -> SegmentRecord:
    """Return a segment without its damaged files; what it retired stays retired if that is known.

    Without its vectors, rows, or what they are in place of, a segment has no rows.
    """
    gone = set(bad)
    if gone & {VECTORS, ROWS, RETIRED}:
        gone |= {VECTORS, ROWS}
    files = {name: file for name, file in segment.files.items() if name not in gone}
    return replace(segment, files=files, rows=segment.rows if VECTORS in files else 0)


def _damage(manifest: Manifest, bad: Problems) -> str:
    """Say which segments are damaged, how many rows are left out, and what is wrong first."""
    damaged = [segment for segment in manifest.segments if segment.id in bad]
    lost = sum(s.rows - _usable(s, bad[s.id]).rows for s in damaged)
    names = ", ".join(segment.id for segment in damaged[:MAX_NAMED])
    more = f" and {len(damaged) - MAX_NAMED} more" if len(damaged) > MAX_NAMED else ""
    which = f"segment {names} is" if len(damaged) == 1 else f"segments {names}{more} are"
    first = next(iter(bad[damaged[0].id].values()))
    back = any(RETIRED in problems for problems in bad.values())
    rows = f"{lost:,} of {_stored(manifest):,} stored rows"
    earlier = " Rows that were removed or changed may be there as they were before." * back
    return f"The {which} damaged, and {rows} are left out: {first}{earlier}"
