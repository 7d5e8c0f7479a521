"""Adding: bring a library up to date with its sources, a committed segment at a time."""

import os
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from os import fsdecode

from explorer.encoder import Encoder
from explorer.errors import LibraryError
from explorer.library import changes
from explorer.library.changes import Change
from explorer.library.existing import ExistingRows
from explorer.library.segments import Key
from explorer.library.sources.columns import Join
from explorer.library.sources.scan import AnySource, Item, Scan, scan
from explorer.library.store import Store
from explorer.library.writer import writing_to

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


def add(
    store: Store,
    sources: Sequence[AnySource] | AnySource,
    encoder: Encoder,
    given: Join | None,
    workers: int | None,
) -> Generator[Progress]:
    """Run one `add` under the writer's lock; see `Library.add`."""
    with writing_to(store):
        if store.manifest.side != "image":
            raise LibraryError(
                f"The library {store.folder} holds points of the text side; index images into "
                "another one."
            )
        found = scan(sources, os.fsencode(store.folder), given)
        store.warnings += found.warnings
        with closing(_run(store, found, encoder, workers)) as steps:
            yield from steps


def _run(store: Store, found: Scan, encoder: Encoder, workers: int | None) -> Generator[Progress]:
    """Settle what needs no embedding, then embed the rest; what is done is kept, always."""
    existing = ExistingRows(store.contents)
    existing.look_for_moved(found.items)
    records = (*store.manifest.sources, *found.records)
    kinds: dict[str, str] = {record.path: record.kind for record in records}
    journal, waiting = _Journal(store, found), list[Item]()
    try:
        for item in found.items.values():
            change = changes.settle(item, existing)
            if change is None:
                waiting.append(item)
            else:
                journal.take(change)
            if journal.is_due_to_show():
                yield journal.progress(item.name)
        for change in changes.remove_missing(existing, found, kinds):
            journal.take(change)
        yield journal.progress("")
        with closing(_embed(waiting, existing, encoder, workers)) as embedding:
            for item, change in embedding:
                journal.take(change)
                yield journal.progress(item.name)
    finally:
        journal.commit()
    yield journal.progress("")


def _embed(
    waiting: Sequence[Item], existing: ExistingRows, encoder: Encoder, workers: int | None
) -> Generator[tuple[Item, Change]]:
    """Embed items that are new or changed; yield each with what becomes of it."""
    unread: dict[Key, str] = {}

    def content(item: Item) -> str | bytes:
        """Give the encoder a file's name, or the bytes of a tar's member."""
        if not item.member:
            return fsdecode(item.path)
        try:
            return item.read()
        except OSError as error:
            unread[item.key] = f"{item.name} cannot be read: {error.strerror}."
            return b""

    results = encoder.embed(map(content, waiting), workers=workers)
    try:
        for result in results:
            item = waiting[result.index]
            reason = unread.get(item.key) if result.vector is None else None
            failed = changes.fail(item, existing, reason) if reason else None
            yield item, failed or changes.embed(item, existing, result)
    finally:
        if isinstance(results, Generator):
            results.close()  # stops its workers


class _Journal:
    """Changes that wait to be committed, and how many there were of each outcome."""

    def __init__(self, store: Store, found: Scan) -> None:
        self.store, self.found = store, found
        self.waiting: list[Change] = []
        self.counts: Counter[str] = Counter()
        self.committed, self.disk_failed = 0, False
        self.last_commit = self.last_shown = time.monotonic()

    @property
    def done(self) -> int:
        return sum(self.counts[outcome] for outcome in ("embedded", "unchanged", "failed"))

    def is_due_to_show(self) -> bool:
        return time.monotonic() - self.last_shown > SHOWN_SECONDS

    def progress(self, current: str) -> Progress:
        self.last_shown = time.monotonic()
        counts = {
            name: self.counts[name] for name in ("embedded", "unchanged", "failed", "removed")
        }
        total = len(self.found.items)
        return Progress(self.done, total, self.committed, **counts, current=current)

    def take(self, change: Change) -> None:
        """Count a change, and commit if enough wait, or wait long enough."""
        self.counts[change.outcome] += 1
        if not change.is_empty:
            self.waiting.append(change)
        late = time.monotonic() - self.last_commit >= SEGMENT_SECONDS
        if late or len(self.waiting) >= SEGMENT_ROWS:
            self.commit()

    def commit(self) -> None:
        """Put what waits on disk; after a failure of the disk, leave it be."""
        if self.disk_failed:
            return
        waiting, self.waiting = self.waiting, []
        rows = [change.row for change in waiting if change.row is not None]
        failures = [change.failure for change in waiting if change.failure is not None]
        retired = [change.retired for change in waiting if change.retired is not None]
        records = [r for r in self.found.records if r not in self.store.manifest.sources]
        if rows or failures or retired or records:
            version, warnings = self.store.manifest.version, self.store.warnings
            try:
                self.store.commit(rows, failures, retired, records)
            except LibraryError:
                self.disk_failed = True
                raise
            except KeyboardInterrupt:  # before or after it was on disk: look
                self.store.refresh()
                self.store.warnings = warnings
                if self.store.manifest.version == version:
                    self.waiting = waiting
                raise
        self.last_commit = time.monotonic()
        self.committed = self.done
