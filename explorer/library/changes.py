"""Changes: what one item of a source means for a library, as rows and failures to commit.

Every function compares an item with the rows that are there and returns a value; none writes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from explorer.encoder import Embedded
from explorer.errors import ImageError
from explorer.library.existing import ExistingRows, KnownRows
from explorer.library.segments import Failure, Key, Row
from explorer.library.sources.items import Item, Scan

Known = ExistingRows | KnownRows
Outcome = Literal["embedded", "unchanged", "failed", "removed", "forgiven"]


@dataclass(frozen=True)
class Change:
    """What is to be committed for one item.

    Args:
        row: stored for it.
        retired: the number of the row that it had and has no more.
        failure: listed for it, or taken back (with an empty reason).
    """

    outcome: Outcome
    row: Row | None = None
    retired: int | None = None
    failure: Failure | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return self.row is None and self.retired is None and self.failure is None


def settle(item: Item, existing: ExistingRows) -> Change | None:
    """Decide about an item that needs no embedding; None if it must be embedded."""
    if item.problem:
        return fail(item, existing, item.problem)
    failure = existing.failures.get(item.key)
    if failure and (failure.size, failure.changed_ns) == (item.size, item.changed_ns):
        return Change("failed")
    index = existing.by_key.get(item.key)
    if index is not None and existing.get("size", index) != item.size:
        index = None
    if index is not None and existing.get("mtime_ns", index) == item.mtime_ns:
        return _keep(item, existing, index)
    if index is None and not existing.may_be_moved(item):
        return None
    try:
        sha256 = hashlib.sha256(item.read()).hexdigest()
    except ImageError:
        return None  # the encoder says why
    if index is not None and existing.get("sha256", index) == sha256:
        return _keep(item, existing, index)
    moved = existing.moved.get(sha256)
    return None if moved is None else _keep(item, existing, moved)


def _keep(item: Item, existing: ExistingRows, index: int) -> Change:
    """Use a known vector; write a new row only if something about the item changed."""
    given = item.columns or {}
    old = existing.columns(index) if given else {}
    same_name = (existing.get("path", index), existing.get("member", index)) == item.key
    same = same_name and existing.get("mtime_ns", index) == item.mtime_ns
    if same and existing.live[index] and all(_equal(old.get(n), v) for n, v in given.items()):
        return Change("unchanged")
    own = {
        name: existing.table.column(name)[index].as_py() for name in ("sha256", "width", "height")
    }
    own |= {"size": existing.get("size", index), "columns": existing.columns(index) | given}
    vector = existing.vectors([int(existing.numbers[index])])[0]
    return _store("unchanged", item, existing, vector, own)


def embed(item: Item, existing: Known, result: Embedded) -> Change:
    """Store what the encoder made of an item, keeping the columns that it had."""
    if result.vector is None:
        return fail(item, existing, result.error or "No reason was given.")
    index = existing.by_key.get(item.key)
    old = {} if index is None else existing.columns(index)
    own = {
        "sha256": result.sha256,
        "size": item.size if item.member else result.size,
        "width": result.width,
        "height": result.height,
        "columns": {**old, **(item.columns or {})},
    }
    return _store("embedded", item, existing, result.vector, own)


def fail(item: Item, existing: Known, reason: str) -> Change:
    """List an item as failed; the row that it had is no longer its image."""
    reason = reason.replace("This image", item.name, 1)
    failure = Failure(*item.key, item.name, reason, item.source, item.size, item.changed_ns)
    is_new = existing.failures.get(item.key) != failure
    retired = existing.living_number(item.key)
    return Change("failed", retired=retired, failure=failure if is_new else None)


def remove_missing(existing: ExistingRows, found: Scan, kinds: dict[str, str]) -> Iterator[Change]:
    """Yield the rows and the failures whose images are no longer in their source.

    Args:
        kinds: source → kind.
    """
    for key, index in existing.by_key.items():
        source = existing.get("source", index)
        gone = key not in found.items and existing.live[index]
        if gone and found.covers(key[0], kinds.get(source, ""), source):
            yield Change("removed", retired=existing.living_number(key))
    for key, failure in existing.failures.items():
        kind = kinds.get(failure.source, "")
        if key not in found.items and found.covers(key[0], kind, failure.source):
            yield Change("forgiven", failure=replace(failure, reason=""))


def _store(
    outcome: Outcome, item: Item, existing: Known, vector: np.ndarray, own: dict[str, Any]
) -> Change:
    """A row for the item, in place of the one that it had and of a failure that is over."""
    row = Row(
        item.path,
        item.member,
        item.name,
        mtime_ns=item.mtime_ns,
        source=item.source,
        offset=item.offset,
        vector=np.array(vector),
        **own,
    )
    return Change(outcome, row, existing.living_number(item.key), _taken_back(item.key, existing))


def _taken_back(key: Key, existing: Known) -> Failure | None:
    failure = existing.failures.get(key)
    return None if failure is None else replace(failure, reason="")


def _equal(old: Any, new: Any) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float):
        return bool(old == new)
    return old is not None and str(old) == str(new)
