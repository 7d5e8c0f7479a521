"""The store of a published library: which version, what is told of it, and rows by number."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from explorer.errors import LibraryError, LibraryNotFound
from explorer.library.manifest import DType, Manifest
from explorer.points import Space
from explorer.scale.address import Address
from explorer.scale.entities import AT_ONCE, STORED, identity, record_of
from explorer.scale.publishing import properties_of, target_of, told

ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class PublishedContents:
    """What the caches of a published version belong to."""

    points_key: str
    failures: Mapping[Any, Any] = field(default_factory=dict)


class PublishedStore:
    """The version that an address points at, in the place of a folder's `Store`."""

    damaged = False

    def __init__(self, address: Address) -> None:
        self.address = address
        self.folder = FilePath(str(address))
        self.warnings: list[str] = []
        self.excluded: dict[str, int] = {}
        self.client = address.connect()
        self.refresh()

    def refresh(self) -> None:
        """Go to the version that the address points at now.

        Raises:
            LibraryNotFound: nothing is published under that name.
        """
        with told(self.address):
            name = target_of(self.client, self.address.name)
            properties = properties_of(self.client, name) if name else {}
        if name is None or STORED not in properties:
            raise LibraryNotFound(
                f"Nothing is published at {self.address}: unclip publish LIBRARY --to "
                f"{self.address}"
            )
        self.collection, self.stored = name, json.loads(properties[STORED])
        told_of = self.stored
        space = Space(told_of["space"], told_of["dimension"], told_of["fingerprint"])
        dtype: DType = told_of["dtype"]
        named = (told_of["version"], space, told_of["model"], dtype)
        self.manifest = Manifest(*named, rows=told_of["rows"], side=told_of["side"])
        self.contents = PublishedContents(told_of["points_key"])
        with told(self.address):
            self.client.load_collection(name)

    @property
    def newest(self) -> str:
        """The collection of the version that readers find now."""
        with told(self.address):
            return target_of(self.client, self.address.name) or self.collection

    def at(self) -> "PublishedStore":
        """Return the store of the version that this one is at now; it stays there."""
        return copy.copy(self)

    @property
    def nothing(self) -> str:
        """The sentence for who asks for images where there are none."""
        return f"The published library {self.address} holds no images."

    def entities(
        self, where: str, fields: Sequence[str], limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return fields of the rows that an expression finds.

        Args:
            limit: None where they are counted, strongly.
        """
        how: dict[str, Any] = {} if limit is None else {"limit": limit, **AT_ONCE}
        with self._told():
            names = list(fields)
            found = self.client.query(self.collection, filter=where, output_fields=names, **how)
        return [dict(each) for each in found]

    def search(self, unit: np.ndarray, **how: Any) -> list[dict[str, Any]]:
        """Return what the server finds near to one unit vector."""
        with self._told():
            found = self.client.search(self.collection, [unit.astype(np.float32)], **how)[0]
        return [dict(each) for each in found]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what Milvus refuses into a LibraryError; it may have dropped this version."""
        from pymilvus.exceptions import MilvusException

        with told(self.address):
            try:
                yield
            except MilvusException as error:
                if self.client.has_collection(self.collection):
                    raise
                raise LibraryError(self._replaced) from error

    @property
    def _replaced(self) -> str:
        return (
            f"Version {self.manifest.version} is not at {self.address} any more: later ones were "
            "published. Open it again, or call refresh()."
        )

    def check(self, read_data: bool) -> list[str]:
        """List what the server lacks of this version, or has otherwise than it was published.

        Args:
            read_data: read all rows; without it they are counted.
        """
        total = int(self.stored["rows"])
        count = self.entities("row >= 0", ["count(*)"])[0]["count(*)"]
        problems = [f"{count:,} rows are there, of {total:,}."] * (count != total)
        for start in range(0, total if read_data else 0, ROWS_AT_ONCE):
            end = min(start + ROWS_AT_ONCE, total)
            fields = ["row", "id", "record", "vector"]
            found = self.entities(f"row >= {start} and row < {end}", fields, ROWS_AT_ONCE)
            right = {each["row"] for each in found if _is_whole(each)}
            wrong = sorted(set(range(start, end)) - right)
            problems += [f"Row {row} is not there as it was published." for row in wrong]
        return problems

    def by_row(self, rows: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return fields of these rows, in this order.

        Raises:
            LibraryError: one is no longer there.
        """
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = [int(row) for row in rows[start : start + ROWS_AT_ONCE]]
            there = self.entities(f"row in {part}", ["row", *fields], len(part))
            found |= {each["row"]: each for each in there}
        gone = [row for row in rows if int(row) not in found]
        if gone:
            raise LibraryError(
                f"Row {gone[0]} is not at {self.address}: the server lost it. Publish the library "
                "again: rows that are there are not sent twice."
            )
        return [found[int(row)] for row in rows]


def _is_whole(found: Mapping[str, Any]) -> bool:
    """Return whether a row has the id of its content, and a vector with a direction."""
    length = float(np.linalg.norm(found["vector"]))
    same = identity(record_of(found["record"])) == found["id"]
    return same and bool(np.isfinite(length)) and length > 0


@dataclass(frozen=True, eq=False)
class PublishedVectors:
    """The raw vectors of a published library, N × D, fetched where they are indexed."""

    store: PublishedStore

    @property
    def shape(self) -> tuple[int, int]:
        """N, D."""
        return self.store.stored["rows"], self.store.stored["dimension"]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        chosen = np.arange(len(self))[rows]
        found = self.store.by_row(np.atleast_1d(chosen).tolist(), ["vector"])
        vectors = np.array([each["vector"] for each in found], np.float32)
        vectors = vectors.reshape(-1, self.shape[1])
        return vectors[0] if np.ndim(chosen) == 0 else vectors

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)
