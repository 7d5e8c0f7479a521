"""Adding: bring a library up to date with its sources, a committed segment at a time."""

import hashlib
import os
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from os import fsdecode
from typing import Any

import numpy as np

from explorer.encoder import Embedded, Encoder
from explorer.errors import LibraryDamaged, LibraryError
from explorer.library.known import Known
from explorer.library.lock import WriterLock
from explorer.library.segments import Failure, Key, Row
from explorer.library.sources.columns import Join
from explorer.library.sources.scan import AnySource, Item, Scan, scan
from explorer.library.store import Store

SEGMENT_ROWS = 4096
SEGMENT_SECONDS = 30.0  # what a power cut may cost
SHOWN_SECONDS = 0.2


@dataclass(frozen=True)
class Progress:
    """How far an `add` is. Of `total` items, `done` are dealt with and `committed` are on disk."""

    done: int
    total: int
    committed: int
    embedded: int
    unchanged: int  # known already, under this name or another: not embedded again
    failed: int
    removed: int  # rows whose image is no longer there
    current: str  # the item that was last dealt with


@dataclass
class _Pending:
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)


def add(
    store: Store,
    sources: Sequence[AnySource] | AnySource,
    encoder: Encoder,
    given: Join | None,
    workers: int | None,
) -> Generator[Progress]:
    """Run one `add` under the writer's lock; see `Library.add`."""
    with WriterLock(store.folder):
        store.refresh()
        if store.damaged:
            raise LibraryDamaged(
                f"The library {store.folder} has damaged segments: {store.warnings[0]} "
                "Run repair first, so that nothing is lost or doubled."
            )
        store.collect_garbage()
        found = scan(sources, os.fsencode(store.folder), given)
        store.warnings += found.warnings
        with closing(_Job(store, found, encoder, workers).run()) as job:
            yield from job


class _Job:
    def __init__(self, store: Store, found: Scan, encoder: Encoder, workers: int | None) -> None:
        self.store, self.found, self.encoder, self.workers = (store, found, encoder, workers)
        self.known = Known(store.contents)
        self.known.look_for_moved(found.items)
        self.pending = _Pending()
        self.embedded = self.unchanged = self.failed = self.removed = self.committed = 0
        self.broken = False
        self.last_commit = self.last_shown = time.monotonic()
        self.unread: dict[Key, str] = {}

    def run(self) -> Generator[Progress]:
        """Settle what needs no embedding, then embed the rest; what is done is kept, always."""
        waiting: list[Item] = []
        try:
            for item in self.found.items.values():
                if not self.settle(item):
                    waiting.append(item)
                self.commit_if_due()
                if time.monotonic() - self.last_shown > SHOWN_SECONDS:
                    yield self.progress(item.name)
            self.remove_missing()
            yield self.progress("")
            yield from self.embed(waiting)
        finally:
            self.commit()
        yield self.progress("")

    def progress(self, current: str) -> Progress:
        self.last_shown = time.monotonic()
        done = self.embedded + self.unchanged + self.failed
        counts = (self.committed, self.embedded, self.unchanged, self.failed, self.removed)
        return Progress(done, len(self.found.items), *counts, current)

    def settle(self, item: Item) -> bool:
        """Deal with an item that needs no embedding; say whether it was one."""
        if item.problem:
            self.fail(item, item.problem)
            return True
        failure = self.known.failures.get(item.key)
        if failure and (failure.size, failure.changed_ns) == (item.size, item.changed_ns):
            self.failed += 1
            return True
        index = self.known.by_key.get(item.key)
        if index is not None and self.known.get("size", index) != item.size:
            index = None
        if index is not None and self.known.get("mtime_ns", index) == item.mtime_ns:
            self.keep(item, index)
            return True
        if index is None and not self.known.may_be_moved(item):
            return False
        try:
            sha256 = hashlib.sha256(item.read()).hexdigest()
        except OSError:
            return False  # the encoder will say why
        if index is None or self.known.get("sha256", index) != sha256:
            index = self.known.moved.get(sha256)
            if index is None:
                return False
            self.retire(item.key)
        self.keep(item, index)
        return True

    def keep(self, item: Item, index: int) -> None:
        """Go on using a known vector; write its row anew only if something about it changed."""
        known, given = self.known, item.columns or {}
        old = known.columns(index) if given else {}
        names = (known.get("path", index), known.get("member", index))
        same = names == item.key and known.get("mtime_ns", index) == item.mtime_ns
        self.unchanged += 1
        if same and known.live[index] and all(_equal(old.get(n), v) for n, v in given.items()):
            return
        if names == item.key:
            self.retire(item.key)
        own = {n: known.table.column(n)[index].as_py() for n in ("sha256", "width", "height")}
        own |= {"size": known.get("size", index), "columns": known.columns(index) | given}
        self.take(item, known.vectors([int(known.numbers[index])])[0], **own)

    def retire(self, key: Key) -> None:
        """Retire the living row of this name, if there is one."""
        index = self.known.by_key.get(key)
        if index is not None and self.known.live[index]:
            self.known.live[index] = False
            self.pending.retired.append(int(self.known.numbers[index]))

    def take(self, item: Item, vector: np.ndarray, **own: Any) -> None:
        """Store a row, and take back what was said against this item before."""
        source, name = item.source, item.name
        self.pending.rows.append(
            Row(item.path, item.member, name, mtime_ns=item.mtime_ns, source=source,
                offset=item.offset, vector=np.array(vector), **own)
        )  # fmt: skip
        self.forgive(item.key)

    def fail(self, item: Item, reason: str) -> None:
        """List an item as failed; the row that it had is not its image any more."""
        self.failed += 1
        reason = reason.replace("This image", item.name, 1)
        failure = Failure(*item.key, item.name, reason, item.source, item.size, item.changed_ns)
        if self.known.failures.get(item.key) != failure:
            self.pending.failures.append(failure)
        self.retire(item.key)

    def forgive(self, key: Key) -> None:
        """Take back a failure that is over."""
        failure = self.known.failures.get(key)
        if failure is not None:
            self.pending.failures.append(replace(failure, reason=""))

    def remove_missing(self) -> None:
        """Retire the rows, and forget the failures, whose images are no longer there."""
        records = (*self.store.manifest.sources, *self.found.records)
        kinds: dict[str, str] = {record.path: record.kind for record in records}
        for key, index in self.known.by_key.items():
            source = self.known.get("source", index)
            if key in self.found.items or not self.known.live[index]:
                continue
            if self.found.covers(key[0], kinds.get(source, ""), source):
                self.retire(key)
                self.removed += 1
        for key, failure in self.known.failures.items():
            kind = kinds.get(failure.source, "")
            if key not in self.found.items and self.found.covers(key[0], kind, failure.source):
                self.forgive(key)

    def embed(self, waiting: list[Item]) -> Generator[Progress]:
        """Embed the items that are new or changed."""
        sources = (self.source_of(item) for item in waiting)
        results = self.encoder.embed(sources, workers=self.workers)
        try:
            for result in results:
                item = waiting[result.index]
                self.receive(item, result)
                self.commit_if_due()
                yield self.progress(item.name)
        finally:
            if isinstance(results, Generator):
                results.close()  # stops its workers

    def source_of(self, item: Item) -> str | bytes:
        """Give the encoder a file's name, or the bytes of a tar's member."""
        if not item.member:
            return fsdecode(item.path)
        try:
            return item.read()
        except OSError as error:
            self.unread[item.key] = f"{item.name} cannot be read: {error.strerror}."
            return b""

    def receive(self, item: Item, result: Embedded) -> None:
        """Store what became of one item."""
        if result.vector is None:
            self.fail(item, self.unread.get(item.key) or result.error or "No reason was given.")
            return
        index = self.known.by_key.get(item.key)
        old = {} if index is None else self.known.columns(index)
        self.retire(item.key)
        own = {
            "sha256": result.sha256,
            "size": result.size,
            "columns": {**old, **(item.columns or {})},
        }
        self.embedded += 1
        self.take(item, result.vector, width=result.width, height=result.height, **own)

    def commit_if_due(self) -> bool:
        """Commit if enough rows wait, or wait long enough."""
        late = time.monotonic() - self.last_commit >= SEGMENT_SECONDS
        due = late or len(self.pending.rows) >= SEGMENT_ROWS
        if due:
            self.commit()
        return due

    def commit(self) -> None:
        """Put what is pending on disk; after a failure of the disk, leave it be."""
        if self.broken:
            return
        pending, self.pending = self.pending, _Pending()
        new = [r for r in self.found.records if r not in self.store.manifest.sources]
        if pending.rows or pending.failures or pending.retired or new:
            version, warnings = self.store.manifest.version, self.store.warnings
            try:
                self.store.commit(pending.rows, pending.failures, pending.retired, new)
            except LibraryError:
                self.broken = True
                raise
            except KeyboardInterrupt:  # before or after it was on disk: look
                self.store.refresh()
                self.store.warnings = warnings
                if self.store.manifest.version == version:
                    self.pending = pending
                raise
        self.last_commit = time.monotonic()
        self.committed = self.embedded + self.unchanged + self.failed


def _equal(old: Any, new: Any) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float):
        return bool(old == new)
    return old is not None and str(old) == str(new)
