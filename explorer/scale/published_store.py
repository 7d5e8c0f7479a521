"""The store of a published library: which version, what is told of it, and rows by number."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from explorer.errors import LibraryError, LibraryNotFound
from explorer.library.manifest import DType, Manifest
from explorer.points import Space
from explorer.scale.address import Address
from explorer.scale.entities import STORED
from explorer.scale.publishing import target_of, told

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
            properties = self.client.describe_collection(name)["properties"] if name else {}
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
    def nothing(self) -> str:
        """The sentence for who asks for images where there are none."""
        return f"The published library {self.address} holds no images."

    def entities(self, where: str, fields: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """Return fields of the rows that an expression finds."""
        with told(self.address):
            names = list(fields)
            found = self.client.query(
                self.collection, filter=where, output_fields=names, limit=limit
            )
        return [dict(each) for each in found]

    def by_row(self, rows: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return fields of these rows, in this order.

        Raises:
            LibraryError: one is no longer there, since later versions were published.
        """
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = [int(row) for row in rows[start : start + ROWS_AT_ONCE]]
            there = self.entities(f"row in {part}", ["row", *fields], len(part))
            found |= {each["row"]: each for each in there}
        gone = [row for row in rows if int(row) not in found]
        if gone:
            raise LibraryError(
                f"Row {gone[0]} is not at {self.address} any more: later versions were published. "
                "Open it again, or call refresh()."
            )
        return [found[int(row)] for row in rows]


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
