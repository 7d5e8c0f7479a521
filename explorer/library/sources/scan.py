"""Sources: folders, files, webdataset tars and tables of paths become one list of items.

Images are not opened here; of videos, only the length is read.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import PathLike, fsdecode
from stat import S_ISDIR
from typing import Any

from explorer.errors import ImageError, QueryError
from explorer.images import name_of
from explorer.images.formats import VIDEO_SUFFIXES, is_image, suffix_of
from explorer.images.remote import Status, absolute, is_remote, status_of, walk_remote
from explorer.library.manifest import SourceRecord
from explorer.library.segments import Key
from explorer.library.sources.columns import Join, clean
from explorer.library.sources.embedded import SHARD_SUFFIXES, image_column
from explorer.library.sources.folders import Walk
from explorer.library.sources.items import (
    AnySource,
    Options,
    Scan,
    broken_item,
    item_of,
)
from explorer.library.sources.tables import (
    TABLE_SUFFIXES,
    columns_seen,
    file_column,
    read_records,
)
from explorer.library.sources.tabular import add_rows, fetch_urls, scan_table
from explorer.library.sources.tars import SIDECAR_BYTES, list_tar
from explorer.library.sources.videos import MAX_FRAMES, frame_name, frame_times

_AUTOMATIC_TABLES = (b"captions", b"metadata")


def scan(sources: Sequence[AnySource] | AnySource, options: Options, given: Join | None) -> Scan:
    """List what the sources hold; URLs of tables are fetched before, by `fetch`.

    Args:
        given: the user's table; its values win over those of tables beside the images.

    Raises:
        QueryError: a source does not exist or is of no known kind.
    """
    found = Scan()
    for path in _paths(sources):
        record = SourceRecord(_kind(path), fsdecode(path))
        found.records.append(record)
        read = {"folder": _scan_folder, "tar": _scan_tar, "table": scan_table, "file": _scan_file}
        found.left_out[record.path] = Counter()
        read[record.kind](found, path, options)
    if given is not None:
        _join(found, given)
        if found.items and not given.matched:
            found.warnings.append("No row of the given table names an image of the sources.")
    return found


def fetch(sources: Sequence[AnySource] | AnySource, options: Options) -> Iterator[tuple[int, int]]:
    """Fetch what tables among the sources name by URL; yield how many of how many are settled.

    Raises:
        QueryError: as `scan`.
    """
    for path in _paths(sources):
        if _kind(path) == "table":
            yield from fetch_urls(path, options)


def _paths(sources: Sequence[AnySource] | AnySource) -> list[bytes]:
    if isinstance(sources, str | bytes | PathLike):
        sources = [sources]
    return [absolute(os.fsencode(source)) for source in sources]


def _kind(path: bytes) -> Any:
    name = name_of(fsdecode(path))
    try:
        status = status_of(path)
        folder = status.is_folder if isinstance(status, Status) else S_ISDIR(status.st_mode)
    except (OSError, ValueError) as error:
        if is_remote(path) and not isinstance(error, FileNotFoundError):
            raise QueryError(f"{name} cannot be looked at: {error}") from None
        folder = None
    if folder:
        return "folder"
    if folder is None:
        raise QueryError(
            f"There is no {name}. Pass folders, images, videos, tars, or tables of paths "
            f"({', '.join(TABLE_SUFFIXES)})."
        )
    suffix = os.path.splitext(path.lower())[1]
    if path.lower().endswith((b".tar", b".tar.gz", b".tgz")):
        return "tar"
    if suffix == b".arrow":
        return "table"
    return "table" if fsdecode(suffix) in TABLE_SUFFIXES else "file"


def _scan_file(found: Scan, path: bytes, options: Options) -> None:
    if suffix_of(path) in VIDEO_SUFFIXES:
        if is_remote(path):
            raise QueryError(f"{name_of(fsdecode(path))} is a video: copy it into a folder first.")
        _add_video(found, path, os.path.basename(path), path, options)
        return
    found.add(item_of(path, os.path.basename(path), path, status_of(path)))


def _add_video(found: Scan, path: bytes, relative: bytes, source: bytes, options: Options) -> None:
    """Add a video's frames; without `every`, leave it out, and what it gave before as it is."""
    if options.every is None:
        found.leave_out(source, suffix_of(path))
        found.unknown.append(path)
        return
    try:
        status, times = os.stat(path), frame_times(path, options.every)
    except (OSError, ImageError) as error:
        found.add(broken_item(path, relative, source, str(error)))
        return
    for seconds in times:
        found.add(item_of(path, relative, source, status, member=frame_name(seconds)))
    if len(times) == MAX_FRAMES:
        name = name_of(fsdecode(path))
        found.warnings.append(f"Of {name} only the first {MAX_FRAMES:,} frames are indexed.")


def _scan_folder(found: Scan, root: bytes, options: Options) -> None:
    if is_remote(root):
        _scan_remote_folder(found, root, options)
        return
    before = set(found.items)
    walk = Walk(root, options.library, options.exclusion)
    for path, status, reason in walk:
        relative = os.path.relpath(path, root)
        if status is None:
            found.add(broken_item(path, relative, root, reason))
        else:
            found.add(item_of(path, relative, root, status))
    found.unknown += walk.unreadable
    new = [key for key in found.items if key not in before]
    used = _use_texts(found, set(walk.texts), new)
    automatic = [path for path in sorted(walk.others) if _is_automatic_table(path, root)]
    for path in sorted(walk.others):
        suffix = suffix_of(path)
        if suffix in VIDEO_SUFFIXES:
            _add_video(found, path, os.path.relpath(path, root), root, options)
        elif path in used or path in automatic:
            continue
        elif suffix in SHARD_SUFFIXES and (column := image_column(path)) is not None:
            add_rows(found, path, column, root)
        else:
            found.leave_out(root, suffix)
    for path in [] if root in walk.unreadable else automatic:
        _use_automatic_table(found, path, new)
    if set(found.items) == before and not before:
        found.warnings.append(f"There are no images in {name_of(fsdecode(root))}.")


def _scan_remote_folder(found: Scan, root: bytes, options: Options) -> None:
    """List the images below an address, and use a table at its top; texts are left out."""
    before, others = set(found.items), []
    try:
        for path, status in walk_remote(root):
            relative = path[len(root) + 1 :]
            if options.exclusion.excludes(relative, folder=False):
                continue
            if is_image(os.path.basename(path)):
                found.add(item_of(path, relative, root, status))
            else:
                others.append(path)
    except OSError as error:
        found.unknown.append(root)
        found.warnings.append(f"{name_of(fsdecode(root))} cannot be listed to its end: {error}")
    new = [key for key in found.items if key not in before]
    for path in others:
        if _is_automatic_table(path, root):
            _use_automatic_table(found, path, new)
        else:
            found.leave_out(root, suffix_of(path))
    if not new and not before:
        found.warnings.append(f"There are no images in {name_of(fsdecode(root))}.")


def _is_automatic_table(path: bytes, root: bytes) -> bool:
    stem, suffix = os.path.splitext(os.path.basename(path).lower())
    at_top = os.path.dirname(path) == root.rstrip(b"/")
    return at_top and stem in _AUTOMATIC_TABLES and fsdecode(suffix) in TABLE_SUFFIXES


def _use_texts(found: Scan, texts: set[bytes], keys: list[Key]) -> set[bytes]:
    """Caption x.jpg with the text of x.txt beside it; return the texts that were used."""
    used = set()
    for key in keys:
        item = found.items[key]
        text = os.path.splitext(item.path)[0] + b".txt"
        if text in texts and not item.problem:
            try:
                with open(text, "rb") as handle:
                    caption = handle.read(SIDECAR_BYTES).decode("utf-8-sig", "replace").strip()
            except OSError as error:
                found.warnings.append(
                    f"{name_of(fsdecode(text))} cannot be read: {error.strerror}."
                )
                continue
            columns = clean({"caption": caption})
            found.items[key] = replace(item, columns={**(item.columns or {}), **columns})
            used.add(text)
    return used


def _use_automatic_table(found: Scan, file: bytes, keys: list[Key]) -> None:
    try:
        records = read_records(file, found.warnings)
    except QueryError as error:
        found.warnings.append(str(error))
        return
    column = file_column(records)
    if column is None:
        name = name_of(fsdecode(file))
        found.warnings.append(
            f"{name} was ignored: none of its columns names the images; its columns are "
            f"{columns_seen(records)}."
        )
        return
    _join(found, Join(records, column, os.path.dirname(file)), keys)


def _join(found: Scan, join: Join, keys: list[Key] | None = None) -> None:
    for item in found.items.values():
        join.claim(*item.names)
    for key in list(found.items) if keys is None else keys:
        item = found.items[key]
        if not item.problem and (columns := join.find(*item.names)):
            found.items[key] = replace(item, columns={**(item.columns or {}), **columns})


def _scan_tar(found: Scan, tar: bytes, options: Options) -> None:
    status = status_of(tar)
    listing = list_tar(tar, options.exclusion)
    for suffix, files in listing.left_out.items():
        found.leave_out(tar, suffix, files)
    for member in listing.members:
        more: dict[str, Any] = {"member": member.name, "offset": member.offset}
        more |= {"columns": member.columns, "problem": member.problem}
        item = item_of(tar, member.name, tar, status, **more)
        item = replace(item, size=member.size)
        if item.key in found.items:
            found.warnings.append(f"{item.name} is in the tar twice; the first counts.")
        found.add(item)
    if listing.problem:
        found.unknown.append(tar)
        found.add(broken_item(tar, os.path.basename(tar), tar, listing.problem))
