"""The rows that a library has when it is added to: by name, and by content."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from explorer.library.contents import Contents
from explorer.library.segments import OWN_COLUMNS, Failure, Key
from explorer.library.sources.items import Item


class ExistingRows:
    """The rows that the library has had, living or retired, by name and by content."""

    def __init__(self, contents: Contents) -> None:
        self.table = contents.table
        self.numbers = contents.numbers
        self.live = contents.live
        self.vectors = contents.vectors
        self.failures = contents.failures
        self._column = {
            name: self.table.column(name).to_pylist()
            for name in ("path", "member", "size", "mtime_ns", "sha256", "source")
        }
        self.by_key: dict[Key, int] = {}
        for index, key in enumerate(zip(self._column["path"], self._column["member"], strict=True)):
            earlier = self.by_key.get(key)
            if earlier is None or self.live[index] or not self.live[earlier]:
                self.by_key[key] = index
        self.moved: dict[str, int] = {}
        self._moved_sizes: set[int] = set()

    def look_for_moved(self, items: dict[Key, Item]) -> None:
        """Remember the content of the rows whose names are no longer there."""
        for key, index in self.by_key.items():
            if key not in items:
                self.moved[self.get("sha256", index)] = index
                self._moved_sizes.add(self.get("size", index))

    def get(self, name: str, index: int) -> Any:
        """Return one value of one row."""
        return self._column[name][index]

    def living_number(self, key: Key) -> int | None:
        """Return the number of the living row of this name; None if there is none."""
        index = self.by_key.get(key)
        return int(self.numbers[index]) if index is not None and self.live[index] else None

    def may_be_moved(self, item: Item) -> bool:
        """Return whether a row of that size has lost its name: then hashing is worth the time."""
        return item.size in self._moved_sizes

    @cached_property
    def _user_columns(self) -> dict[str, list[Any]]:
        names = [name for name in self.table.column_names if name not in OWN_COLUMNS]
        return {name: self.table.column(name).to_pylist() for name in names}

    def columns(self, index: int) -> dict[str, Any]:
        """Return the user's columns of one row."""
        values = {name: column[index] for name, column in self._user_columns.items()}
        return {name: value for name, value in values.items() if value is not None}

    def known(self, items: Iterable[Item]) -> "KnownRows":
        """Return what there is of these items, few values that can be sent to another process."""
        keys = [item.key for item in items]
        by_key = {key: self.by_key[key] for key in keys if key in self.by_key}
        living = {key: number for key in by_key if (number := self.living_number(key)) is not None}
        failures = {key: self.failures[key] for key in keys if key in self.failures}
        return KnownRows(by_key, {i: self.columns(i) for i in by_key.values()}, living, failures)


@dataclass(frozen=True)
class KnownRows:
    """What a library has of a few items, for those who embed them; see `ExistingRows`."""

    by_key: dict[Key, int]
    values: dict[int, dict[str, Any]]
    living: dict[Key, int]
    failures: dict[Key, Failure]

    def living_number(self, key: Key) -> int | None:
        """Return the number of the living row of this name; None if there is none."""
        return self.living.get(key)

    def columns(self, index: int) -> dict[str, Any]:
        """Return the user's columns of one row."""
        return self.values[index]
