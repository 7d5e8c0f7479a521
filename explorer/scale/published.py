"""Published: a library that lies on a Milvus server, with the same `search`."""

import os
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.errors import ImageError, QueryError
from explorer.images import decode_image, open_image, read_bytes
from explorer.index import Index
from explorer.library.few_rows import HIDDEN, labels_of
from explorer.library.filters import MAX_COMPARED, listed, no_such_value
from explorer.library.hits import Hits
from explorer.library.reader import megapixels_of
from explorer.library.search_index import Kind
from explorer.library.searching import MinScore
from explorer.library.segments import NO_IMAGE
from explorer.library.sources.members import read_member
from explorer.notes import counted
from explorer.places import caches_folder
from explorer.points import Points
from explorer.scale.address import Address
from explorer.scale.entities import SHOWN_COLUMNS, filter_of, record_of, search_options
from explorer.scale.published_hits import FetchedRows, PublishedHits, RowsLater
from explorer.scale.published_store import PublishedStore, PublishedVectors
from explorer.scale.read_only import ReadOnly

if TYPE_CHECKING:
    import pandas as pd

MOST_HITS = 16_384  # of one search of Milvus
MOST_COMPARED = 200_000  # rows of which all vectors are read, where a search compares all


def open_published(address: str) -> "PublishedLibrary":
    """Open what is published at an address.

    Raises:
        QueryError: it is no address, or nobody answers there.
        LibraryNotFound: nothing is published under that name.
    """
    return PublishedLibrary(PublishedStore(Address.parse(address)))


class PublishedLibrary(ReadOnly):
    """A library on a Milvus server: `Library.open("milvus://HOST:PORT/NAME")`; it is only read.

    It stays at the version that it was opened at until `refresh`. Images are those that it names,
    where they are on this machine and unchanged, or else the small ones that were published.
    """

    _store: PublishedStore  # type: ignore[assignment]  # in the place of a folder's

    def __init__(self, store: PublishedStore) -> None:
        super().__init__(store)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return int(self._store.stored["rows"])

    @property
    def cache_key(self) -> str:
        return str(self._store.stored["cache_key"])

    @property
    def cache_folder(self) -> FilePath:
        name = sha256(str(self._store.address).encode()).hexdigest()[:16]
        folder = caches_folder() / "published" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def columns(self) -> list[str]:
        return list(self._store.stored["columns"])

    @property
    def errors(self) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(columns=["item", "reason"])

    @property
    def vectors(self) -> PublishedVectors:  # type: ignore[override]
        return PublishedVectors(self._at)

    @property
    def _at(self) -> PublishedStore:
        """The store of the version at hand, for what is read later."""
        return self._derive("at", self._store.at)

    def __repr__(self) -> str:
        address = str(self._store.address)
        return f"{type(self).__name__}({address!r}: {counted(len(self))} in {self.space})"

    def verify(self, read_data: bool = False) -> list[str]:
        """List what the server lacks of the version at hand; `read_data` reads all its rows."""
        return self._at.check(read_data)

    def info(self) -> dict[str, Any]:
        return {**self._store.stored, "folder": str(self._store.address), "errors": 0}

    def search_many(
        self,
        points: Points,
        k: int = 12,
        *,
        where: Mapping[str, Any] | None = None,
        exclude: Sequence[int] | None = None,
        min_score: MinScore = None,
        index: Kind = "auto",
    ) -> list[Hits]:
        """Find the `k` nearest images of every point; see `Library.search`."""
        self.check_space(points.space)
        if k < 1:
            raise QueryError(f"k is {k}, but must be 1 or more.")
        if index == "exact" or isinstance(min_score, str) or k > MOST_HITS:
            options: dict[str, Any] = {"exclude": exclude, "min_score": min_score, "index": index}
            return super().search_many(points, k, where=where, **options)
        expression = self._expression(where or {}, exclude)
        found = [self._found(unit, k, expression, min_score) for unit in points.unit]
        if any(each.matching == MOST_HITS for each in found):  # more may match than were counted
            options = {"exclude": exclude, "min_score": min_score, "index": index}
            return super().search_many(points, k, where=where, **options)
        return found

    def _found(self, unit: np.ndarray, k: int, expression: str, least: float | None) -> Hits:
        limit = min(k, max(1, len(self))) if least is None else min(MOST_HITS, len(self))
        how = search_options(self._store.stored.get("effort"), limit)
        if least is not None:
            how["search_params"]["params"]["radius"] = float(np.float32(least)) - 1e-7
        fields = ["row", "record", "vector"] if least is None else ["row"]
        hits = self._store.search(unit, filter=expression, output_fields=fields, **how)
        rows = np.array([hit["entity"]["row"] for hit in hits], np.int64)
        scores = np.array([hit["distance"] for hit in hits], np.float32)
        if least is None:
            return self._hits_of(scores, rows, [hit["entity"] for hit in hits], None)
        enough = scores >= np.float32(least)
        rows, scores, matching = rows[enough][:k], scores[enough][:k], int(enough.sum())
        found = self._store.by_row(rows.tolist(), ["record", "vector"])
        return self._hits_of(scores, rows, found, matching)

    def _hits_of(
        self, scores: np.ndarray, rows: np.ndarray, found: list[Any], matching: int | None
    ) -> Hits:
        names = [*self._all_columns, HIDDEN]
        source = FetchedRows(rows, [record_of(each["record"]) for each in found], names)
        vectors = [each["vector"] for each in found]

        def points() -> Points:
            raw = np.array(vectors, np.float32)
            return Points(raw, self.space, self.side, labels_of(source, rows))

        whole = partial(source.few, rows)
        images = partial(open_published_image, self._at)  # of this version, whatever comes later
        return PublishedHits(scores, rows, source, whole, points, images, matching)

    def _expression(self, where: Mapping[str, Any], exclude: Sequence[int] | None) -> str:
        """Return Milvus' expression for the rows that may be found."""
        terms = []
        for name, wanted in where.items():
            values = listed(wanted)
            if name not in self._all_columns:
                known = ", ".join(self._all_columns)
                raise QueryError(f"The library has no column {name!r}; its columns are {known}.")
            terms.append(filter_of(name, values))
            if len(self) and not self._store.entities(terms[-1], ["row"], 1):
                raise QueryError(no_such_value(self._values(name), name, values))
        if exclude is not None and len(exclude):
            terms.append(f"row not in {self._checked(exclude).tolist()}")
        return " and ".join(terms)

    def _values(self, name: str) -> list[str | None]:
        """Return values of a column, of at most `MAX_COMPARED` rows."""
        found = self._store.entities("row >= 0", ["texts"], min(MAX_COMPARED, MOST_HITS))
        return list({each["texts"].get(name): None for each in found})

    @property
    def _all_columns(self) -> list[str]:
        return [*SHOWN_COLUMNS, *self.columns]

    def _index(self, kind: Kind = "auto") -> Index:
        """Return an index of all vectors, in the memory of this machine."""
        if len(self) > MOST_COMPARED:
            raise QueryError(
                f"This search compares all {len(self):,} vectors, which are read from the server; "
                f"at most {MOST_COMPARED:,} are. Use index='auto', and no min_score or a higher "
                "number."
            )

        def read() -> Index:
            vectors: Float[np.ndarray, "N D"] = np.asarray(self.vectors)
            unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            return Index(unit, self.space.dimension)

        return self._derive(f"published {kind}", read)

    def _table_later(self) -> Callable[[], Any]:
        source, rows, derived = self._find_few_rows(), np.arange(len(self)), self._of_version()

        def read() -> Any:
            if "table" not in derived:
                derived["table"] = source.few(rows).drop_columns([HIDDEN])
            return derived["table"]

        return read

    def _find_few_rows(self) -> RowsLater:
        return RowsLater(self._at, [*self._all_columns, HIDDEN])

    def _stored_rows(self, rows: np.ndarray) -> Any:
        return self._few_rows.few(rows)

    def _read_rows(self) -> "pd.DataFrame":
        found = self._store.by_row(range(len(self)), ["record"])
        return self._framed([each["record"] for each in found])

    def _framed(self, stored: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame([record_of(each) for each in stored], columns=self._all_columns)

    def _hits(self, scores: np.ndarray, rows: np.ndarray, count: int | None = None) -> Hits:
        found = self._store.by_row(rows.tolist(), ["record", "vector"])
        return self._hits_of(scores, rows, found, count)

    def points(self, rows: Sequence[int] | np.ndarray | None = None) -> Points:
        chosen = np.arange(len(self)) if rows is None else self._checked(rows)
        if not len(chosen):
            raise QueryError(self._store.nothing if rows is None else "No rows were asked for.")
        found = self._store.by_row(chosen.tolist(), ["record", "vector"])
        points = self._hits_of(np.zeros(len(found)), chosen, found, None).points
        assert points is not None
        return points

    def open_image(self, row: int) -> Image.Image:
        """Open the image of a row, upright RGB: its file, or the small one that was published.

        Raises:
            ImageError: neither is there.
        """
        return open_published_image(self._at, int(self._checked([row])[0]))


def open_published_image(store: PublishedStore, row: int) -> Image.Image:
    """Open the image of a row of one version; see `PublishedLibrary.open_image`."""
    (found,) = store.by_row([row], ["record", "thumbnail"])
    record = record_of(found["record"])
    if (content := _same_content(record)) is not None:
        with suppress(ImageError):  # of a format that this machine cannot read
            return open_image(content, max_megapixels=megapixels_of(record))
    if not found["thumbnail"]:
        raise ImageError(f"{record['item']} is not on this machine, and was published without.")
    return decode_image(b64decode(found["thumbnail"]), record["item"])


def _same_content(record: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of a row's image, if they are on this machine as they were indexed."""
    if record["offset"] == NO_IMAGE:
        return None
    try:
        if record["member"]:
            return read_member(record)
        content = read_bytes(os.fsdecode(record["path"]))
    except (ImageError, OSError):
        return None
    return content if sha256(content).hexdigest() == record["sha256"] else None
