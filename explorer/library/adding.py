"""Adding: bring a library up to date with its sources, a committed segment at a time."""

import os
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from shlex import quote
from typing import TypedDict

from explorer.encoder import Encoder
from explorer.errors import LibraryError, QueryError
from explorer.library import changes
from explorer.library.changes import Change
from explorer.library.existing import ExistingRows
from explorer.library.manifest import versions
from explorer.library.sources.columns import Join
from explorer.library.sources.exclusion import Exclusion
from explorer.library.sources.items import AnySource, Item, Options, Scan
from explorer.library.sources.scan import fetch, scan
from explorer.library.staging import Block, Engine, Staged, Work
from explorer.library.store import Store, explain_saved
from explorer.library.writer import writing_to
from explorer.refusals import explain_memory

SEGMENT_ROWS = 4096
SEGMENT_SECONDS = 30.0  # what a power cut may cost
STAGED_SECONDS = 5.0  # between versions, while others write the segments
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
    doing: str = "reading images"  # or "fetching images", which counts URLs of tables


@dataclass(frozen=True)
class Added:
    """What `Library.add` did, in images.

    Args:
        embedded: new or changed, and embedded.
        unchanged: known already, under this name or another.
        failed: could not be read; `Library.errors` says why.
        removed: rows whose image is no longer in its source.
        total: items in the sources.
    """

    embedded: int
    unchanged: int
    failed: int
    removed: int
    total: int


class AddOptions(TypedDict, total=False):
    """What `Library.add` takes by name; see there."""

    workers: int | None
    exclude: Sequence[str]
    every: float | None
    max_megapixels: float | None
    engine: Engine | None


@dataclass(frozen=True)
class AddSettings:
    """How sources are read: the options of `Library.add`, checked."""

    workers: int | None = None
    exclude: Sequence[str] = ()
    every: float | None = None
    max_megapixels: float | None = None
    engine: Engine | None = None

    def __post_init__(self) -> None:
        for name in ("every", "max_megapixels"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise QueryError(f"{name} is {value}, but must be a positive number.")


def add(
    store: Store,
    sources: Sequence[AnySource] | AnySource,
    encoder: Encoder | None,
    given: Join | None,
    settings: AddSettings,
) -> Generator[Progress]:
    """Run one `add` under the writer's lock; see `Library.add`.

    Args:
        encoder: None only with an engine, which then loads the library's model itself.
    """
    with writing_to(store):
        if store.manifest.side != "image":
            raise LibraryError(
                f"The library {store.folder} holds points of the text side; index images into "
                "another one."
            )
        _check_there(store, sources)
        exclusion = Exclusion(settings.exclude)
        options = Options(exclusion, settings.every, os.fsencode(store.folder))
        for done, urls in fetch(sources, options):
            yield Progress(done, urls, 0, 0, 0, 0, 0, "", "fetching images")
        found = scan(sources, options, given)
        store.warnings += found.warnings
        store.excluded = dict(exclusion.counts)
        with (
            explain_memory(lambda: explain_saved(store.manifest.rows)),
            closing(_run(store, found, encoder, settings)) as steps,
        ):
            yield from steps


def _check_there(store: Store, sources: Sequence[AnySource] | AnySource) -> None:
    """Refuse a source of the library that is no longer there, and say what to type.

    Raises:
        QueryError: it moved, or is gone.
    """
    known = {record.path for record in store.manifest.sources}
    for source in [sources] if isinstance(sources, str | bytes | os.PathLike) else sources:
        name = os.path.abspath(os.fsdecode(source))
        if name in known and not os.path.lexists(name):
            place = quote(str(store.folder))
            raise QueryError(
                f"{name} is no longer there. If it moved: unclip moved {place} {quote(name)} NEW; "
                f"if it is gone: unclip forget {place} {quote(name)}"
            )


def _run(
    store: Store, found: Scan, encoder: Encoder | None, settings: AddSettings
) -> Generator[Progress]:
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
        if settings.engine is not None:
            with closing(_stage(store, waiting, existing, encoder, settings)) as staging:
                for staged in staging:
                    journal.take_staged(staged)
                    yield journal.progress(staged.last)
        elif encoder is not None and waiting:  # else its model need not be loaded
            with closing(_embed(waiting, existing, encoder, settings)) as embedding:
                for item, change in embedding:
                    journal.take(change)
                    yield journal.progress(item.name)
    finally:
        journal.commit()
    yield journal.progress("")


def _embed(
    waiting: Sequence[Item], existing: ExistingRows, encoder: Encoder, settings: AddSettings
) -> Generator[tuple[Item, Change]]:
    """Embed items that are new or changed; yield each with what becomes of it."""
    if settings.workers is None and any(item.member.startswith(b"@") for item in waiting):
        settings = replace(settings, workers=min(16, os.cpu_count() or 1))  # FFmpeg may crash
    results = encoder.embed(
        (item.content for item in waiting),
        workers=settings.workers,
        max_megapixels=settings.max_megapixels,
    )
    try:
        for result in results:
            item = waiting[result.index]
            yield item, changes.embed(item, existing, result)
    finally:
        if isinstance(results, Generator):
            results.close()  # stops its workers


def _stage(
    store: Store,
    waiting: Sequence[Item],
    existing: ExistingRows,
    encoder: Encoder | None,
    settings: AddSettings,
) -> Generator[Staged]:
    """Have an engine embed items in blocks; yield the blocks in order."""
    engine, manifest = settings.engine, store.manifest
    if engine is None or not waiting:
        return
    size, version = engine.block_rows(len(waiting)), versions(store.folder)[0]
    parts = [waiting[start : start + size] for start in range(0, len(waiting), size)]
    blocks = [Block(number, part, existing.known(part)) for number, part in enumerate(parts)]
    model = manifest.model
    if encoder is None:
        from explorer.models.trust import check_named

        model = check_named(model, f"The library {store.folder}")
    where = (store.folder, version, model, manifest.space, manifest.dtype)
    with closing(engine.run(Work(*where, blocks, encoder, settings.max_megapixels))) as staging:
        yield from staging


class _Journal:
    """Changes that wait to be committed, and how many there were of each outcome."""

    def __init__(self, store: Store, found: Scan) -> None:
        self.store, self.found = store, found
        self.waiting: list[Change] = []
        self.staged: list[Staged] = []
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
        names = ("embedded", "unchanged", "failed", "removed")
        embedded, unchanged, failed, removed = (self.counts[name] for name in names)
        total, safe = len(self.found.items), self.committed
        return Progress(self.done, total, safe, embedded, unchanged, failed, removed, current)

    def take(self, change: Change) -> None:
        """Count a change, and commit if enough wait, or wait long enough."""
        self.counts[change.outcome] += 1
        if not change.is_empty:
            self.waiting.append(change)
        late = time.monotonic() - self.last_commit >= SEGMENT_SECONDS
        if late or len(self.waiting) >= SEGMENT_ROWS:
            self.commit()

    def take_staged(self, staged: Staged) -> None:
        """Count a block that is on disk already, and commit if it is time."""
        self.counts += staged.outcomes
        self.staged.append(staged)
        if time.monotonic() - self.last_commit >= STAGED_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Put what waits on disk; after a failure of the disk, leave it be."""
        if self.disk_failed:
            return
        waiting, self.waiting = self.waiting, []
        staged, self.staged = self.staged, []
        rows = [change.row for change in waiting if change.row is not None]
        failures = [change.failure for change in waiting if change.failure is not None]
        retired = [change.retired for change in waiting if change.retired is not None]
        records = [r for r in self.found.records if r not in self.store.manifest.sources]
        left_out = self.store.manifest.left_out | {
            source: dict(files) for source, files in self.found.left_out.items() if files
        }
        for source in (s for s, files in self.found.left_out.items() if not files):
            left_out.pop(source, None)
        news = left_out != self.store.manifest.left_out
        if rows or failures or retired or records or news or any(s.segment for s in staged):
            version, warnings = self.store.manifest.version, self.store.warnings
            try:
                self.store.commit(rows, failures, retired, records, left_out, staged)
            except LibraryError:
                self.disk_failed = True
                raise
            except KeyboardInterrupt:  # before or after it was on disk: look
                self.store.refresh()
                self.store.warnings = warnings
                if self.store.manifest.version == version:
                    self.waiting, self.staged = waiting, staged
                raise
        self.last_commit = time.monotonic()
        self.committed = self.done
