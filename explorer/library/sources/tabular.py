"""Tables as sources: of paths, of URLs, and with the images inside."""

import os
from collections.abc import Iterator
from contextlib import closing
from os import fsdecode
from typing import Any

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.images.formats import suffix_of
from explorer.images.remote import is_remote, joined, status_of
from explorer.library.captions import is_blank
from explorer.library.sources.columns import as_name, clean
from explorer.library.sources.embedded import SHARD_SUFFIXES, image_column, other_columns
from explorer.library.sources.fetching import fetch_all
from explorer.library.sources.items import (
    Options,
    Scan,
    broken_item,
    item_of,
)
from explorer.library.sources.tables import (
    FILE_COLUMNS,
    TABLE_SUFFIXES,
    URL_COLUMNS,
    columns_seen,
    file_column,
    read_records,
)

_WEB = ("http://", "https://")


def scan_table(found: Scan, file: bytes, options: Options) -> None:
    """Add the images that a table names, by path or URL, or holds.

    Raises:
        QueryError: it cannot be read, or names no images.
    """
    if suffix_of(file) in SHARD_SUFFIXES and (cells := image_column(file)) is not None:
        add_rows(found, file, cells, file)
        return
    if suffix_of(file) not in TABLE_SUFFIXES:
        raise QueryError(f"{name_of(fsdecode(file))} has no column of images (bytes).")
    records = read_records(file, found.warnings)
    column, url = _naming(records)
    if url is not None:
        _add_urls(found, file, records, url, options)
        return
    if column is None:
        raise QueryError(
            f"The table {name_of(fsdecode(file))} has no column that names images; it needs "
            f"one of {', '.join((*FILE_COLUMNS, *URL_COLUMNS))}; its columns are "
            f"{columns_seen(records)}."
        )
    _add_files(found, file, records, column)


def fetch_urls(file: bytes, options: Options) -> Iterator[tuple[int, int]]:
    """Fetch what a table names by URL into `options.fetched`; yield how many of how many.

    Raises:
        QueryError: the table cannot be read.
    """
    if suffix_of(file) not in TABLE_SUFFIXES:
        return
    if suffix_of(file) in SHARD_SUFFIXES and image_column(file) is not None:
        return
    records = read_records(file, [])
    column = _naming(records)[1]
    if column is None:
        return
    urls = [url for url in _by_url(records, column) if url not in options.fetched]
    yield 0, len(urls)
    with closing(fetch_all(urls, options.fetched_folder)) as fetching:
        for done, (url, answer) in enumerate(fetching, start=1):
            options.fetched[url] = answer
            yield done, len(urls)


def _naming(records: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    """Return the column that names files, or else the one of URLs, which are fetched."""
    column, url = file_column(records), file_column(records, URL_COLUMNS)
    if column is None:
        return None, url
    given = [record.get(column) for record in records]
    named = [str(value).strip().startswith(_WEB) for value in given if not is_blank(value)]
    return (None, column) if named and all(named) else (column, None)


def _by_url(records: list[dict[str, Any]], column: str) -> dict[str, dict[str, Any]]:
    named = (record for record in records if not is_blank(record.get(column)))
    return {str(record[column]).strip(): record for record in named}


def _add_files(found: Scan, file: bytes, records: list[dict[str, Any]], column: str) -> None:
    """Add the images that a table names by path or address.

    An address that could not be looked at is not gone: what the table gave before stays then.
    """
    folder, again, unseen = os.path.dirname(file), 0, list[str]()
    for record in records:
        given = record.get(column)
        if is_blank(given) or not given:
            continue
        relative = as_name(given.strip() if isinstance(given, str) else given)
        path = joined(folder, relative)
        again += (path, b"") in found.items
        try:
            item = item_of(path, relative, file, status_of(path), columns=clean(record, column))
        except (OSError, ValueError) as error:
            reason = f"{name_of(fsdecode(path))}: {getattr(error, 'strerror', None) or error}"
            if is_remote(path) and not isinstance(error, FileNotFoundError):
                unseen.append(reason)
                continue
            item = broken_item(path, relative, file, f"{reason.rstrip('.')}.")
        found.add(item)
    if unseen:
        found.unknown.append(file)
        found.warnings.append(
            f"{len(unseen):,} rows of {name_of(fsdecode(file))} could not be looked at; what was "
            f"indexed of them stays. The first: {unseen[0]}"
        )
    if again:
        found.warnings.append(
            f"{again:,} rows of {name_of(fsdecode(file))} name an image again; the first "
            "row counts."
        )


def _add_urls(
    found: Scan, file: bytes, records: list[dict[str, Any]], column: str, options: Options
) -> None:
    """Add the files of the images that a table names by URL."""
    for url, record in _by_url(records, column).items():
        path, problem = options.fetched[url]
        columns = {**clean(record, column), "url": url}
        if problem:
            reason = f"{name_of(url[:200])} cannot be fetched: {problem}."
            found.add(broken_item(path, os.path.basename(path), file, reason))
        else:
            status, name = os.stat(path), os.path.basename(path)
            found.add(item_of(path, name, file, status, columns=columns))


def add_rows(found: Scan, file: bytes, column: str, source: bytes) -> None:
    """Add the images inside a table, each with the other cells of its row."""
    status, name = status_of(file), name_of(fsdecode(file))
    try:
        for number, (row, path, has_bytes) in enumerate(other_columns(file, column)):
            relative = os.fsencode(path) if path else os.path.basename(file)
            more: dict[str, Any] = {"member": b"#%d" % number, "columns": clean(row)}
            if not has_bytes:
                more["problem"] = f"{name}#{number} has no image."
            found.add(item_of(file, relative, source, status, **more))
    except (OSError, ValueError) as error:
        found.unknown.append(file)
        reason = f"{name} cannot be read to its end: {error}."
        found.add(broken_item(file, os.path.basename(file), source, reason))
