"""Publishing: a version of a library becomes a collection of Milvus, whole before it is read."""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.errors import ExplorerError, ImageError, LibraryError, QueryError
from explorer.index.held_out import HeldOut
from explorer.library.sources.columns import as_records
from explorer.notes import note
from explorer.scale.address import Address
from explorer.scale.effort import chosen, queries_of, units
from explorer.scale.entities import (
    BEFORE,
    COMPLETE,
    STORED,
    create_collection,
    entity,
    identity,
    is_exact,
    thumbnail_of,
)
from explorer.scale.read_only import ReadOnly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from explorer.library import Library

ROWS_AT_ONCE = 500
MOST_SOURCES = 100  # that readers are told
THUMBNAIL_SIDE = 192  # pixels

NO_ALIAS = (100, 1600)  # what Milvus Lite and Milvus answer where there is no such alias


@dataclass(frozen=True)
class Published:
    """How far a publication is; the last one tells what readers now find.

    Args:
        done: of `total` rows, those that are on the server.
        collection: that holds this version.
        recall: recall@10 of the server's index by kind of query, once it is measured.
        milliseconds: the median time of one query then.
    """

    done: int
    total: int
    collection: str
    recall: dict[str, float] | None = None
    milliseconds: float | None = None


def publish(
    library: "Library", to: str, *, thumbnail_side: int | None = None
) -> Generator[Published]:
    """Publish a library to Milvus; readers of the address go over to it at the end, all at once.

    What was interrupted goes on with the same call; rows that are there are not sent again. The
    version that readers came from stays, older ones are dropped.

    Args:
        to: `milvus://HOST:PORT/NAME`, or `milvus://FILE.db/NAME` for Milvus Lite.
        thumbnail_side: pixels of the small images that are sent along; 0 sends none, None those of
            the version that readers find now, or else 192. With another side all is sent again.

    Raises:
        QueryError: it is no address, nobody answers there, or the library is empty or itself one
            that is published.
        LibraryError: the server's count of rows is not the library's, or the server refuses.
        ExplorerError: pymilvus is not installed.

    >>> import explorer as ex
    >>> *_, last = ex.publish(ex.sample_library(), "milvus://emoji.db/emoji", thumbnail_side=0)
    >>> last.done == last.total
    True
    """
    address = Address.parse(to)
    if isinstance(library, ReadOnly):
        raise QueryError(library.publish_instead(to))
    if not len(library):
        raise QueryError(f"The library {library.folder} has no images to publish.")
    if thumbnail_side is not None and not 0 <= thumbnail_side <= 1024:
        raise QueryError(f"thumbnail_side is {thumbnail_side}, but must be from 0 to 1024.")
    client = address.connect()
    try:
        with told(address):
            side = _side(client, address, thumbnail_side)
            yield from _publish(client, address, library, side)
    finally:
        client.close()


@contextmanager
def told(address: Address) -> "Iterator[None]":
    """Turn what Milvus refuses in the block into a LibraryError."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        if isinstance(error, ExplorerError):
            raise
        raise LibraryError(f"Milvus refuses at {address}: {error.message}") from error


def _publish(client: Any, address: Address, library: "Library", side: int) -> Generator[Published]:
    """Fill the collection of this version, count, measure, swap the alias."""
    name, total = collection_of(address, library, side), len(library)
    if not client.has_collection(name):
        create_collection(client, name, library.space.dimension, total)
    client.load_collection(name)  # what was begun in another process is not loaded
    held = queries_of(library)
    for done in _send(client, name, library, side, held):
        yield Published(done, total, name)
    client.flush(name)
    there = client.query(name, filter="row >= 0", output_fields=["count(*)"])[0]["count(*)"]
    if there != total:
        raise LibraryError(
            f"{address} has {there:,} rows of {total:,}: readers stay at the version before. "
            "Publish again."
        )
    effort, recall, milliseconds = (
        (None, None, None) if held is None else chosen(client, name, held)
    )
    told_of = _stored(library, recall)
    stored = json.dumps(told_of | {"thumbnail_side": side, "effort": effort})
    client.alter_collection_properties(name, {STORED: stored, COMPLETE: str(total)})
    _swap(client, address.name, name)
    yield Published(total, total, name, recall, milliseconds)


def collection_of(address: Address, library: "Library", side: int) -> str:
    """Return the name of the collection of a version with small images: always the same one."""
    return f"{address.name}_{library.cache_key.replace('-', '_')}_{side}"


def _side(client: Any, address: Address, asked: int | None) -> int:
    """Return the side of the small images, and note if it is not that of the version before."""
    name = target_of(client, address.name)
    stored = properties_of(client, name).get(STORED) if name else None
    before = json.loads(stored).get("thumbnail_side") if stored else None
    if asked is None:
        return THUMBNAIL_SIDE if before is None else int(before)
    if before not in (None, asked):
        note(
            f"Small images at {address} had at most {before} pixels, and now have {asked}: all "
            f"rows are sent again. To keep those of before: --thumbnail-side {before}."
        )
    return asked


def properties_of(client: Any, name: str) -> dict[str, Any]:
    """Return what was kept with a collection."""
    return dict(client.describe_collection(name)["properties"])


def _send(
    client: Any, name: str, library: "Library", side: int, held: HeldOut | None
) -> Generator[int]:
    """Send the rows that the collection lacks; yield how many are there."""
    table = library.rows.assign(offset=_offsets(library))
    for start in range(0, len(library), ROWS_AT_ONCE):
        rows = range(start, min(start + ROWS_AT_ONCE, len(library)))
        records = as_records(table.iloc[rows.start : rows.stop])
        vectors = library.vectors[rows.start : rows.stop]
        if held is not None:
            held.look(start, held.queries @ units(vectors).T)
        ids = [identity(record) for record in records]
        there = client.query(name, filter=f"id in {json.dumps(ids)}", output_fields=["id"])
        known = {each["id"] for each in there}
        new = [
            entity(row, record, vector, _thumbnail(library, row, side))
            for row, record, vector, each in zip(rows, records, vectors, ids, strict=True)
            if each not in known
        ]
        if new:
            client.upsert(name, new)
        yield rows.stop


def _offsets(library: "Library") -> np.ndarray:
    """Return where each row's image lies in its file, which `rows` does not tell."""
    contents = library._store.contents
    return np.asarray(contents.table.column("offset").to_numpy()[contents.live])


def _thumbnail(library: "Library", row: int, side: int) -> str:
    if not side:
        return ""
    try:
        return thumbnail_of(library.open_image(row), side)
    except ImageError:
        return ""


def _stored(library: "Library", recall: dict[str, float] | None) -> dict[str, Any]:
    """Return what readers are told of the library, in plain values."""
    stored = library.info()
    stored |= {"sources": stored["sources"][:MOST_SOURCES], "warnings": []}
    kind = "exact" if is_exact(len(library)) else "HNSW"
    worst = None if recall is None else round(min(recall.values()), 4)
    stored |= {"index": f"Milvus, {kind}", "index_recall": worst, "index_bytes": None}
    key = library._store.contents.points_key
    return stored | {"points_key": key, "cache_key": library.cache_key}


def _swap(client: Any, alias: str, name: str) -> None:
    """Point the alias at the new collection, and drop all but it and the one before.

    The one before is that which readers came from, also if this version is published once more.
    """
    before = target_of(client, alias)
    if before is None:
        client.create_alias(name, alias)
    elif before != name:
        client.alter_collection_properties(name, {BEFORE: before})
        client.alter_alias(name, alias)
    else:
        before = properties_of(client, name).get(BEFORE)
    version = re.compile(re.escape(alias) + r"_\d{8}_[0-9a-f]{16}_\d+(_\d+)?")
    for other in client.list_collections():
        if version.fullmatch(other) and other not in (name, before):
            client.drop_collection(other)


def target_of(client: Any, alias: str) -> str | None:
    """Return the collection that an alias points at; None if there is no such alias."""
    from pymilvus.exceptions import MilvusException

    try:
        return str(client.describe_alias(alias)["collection_name"])
    except MilvusException as error:
        if error.code not in NO_ALIAS:
            raise
        return None
