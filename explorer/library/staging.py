"""Staging: a block of items is embedded and written as a segment that no version names yet.

Another process may do it, on another machine that sees the library's folder. Whoever holds the lock
commits the segment, so a block that was embedded twice is in the library once.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Protocol

from explorer.encoder import Encoder
from explorer.library import changes
from explorer.library.existing import KnownRows
from explorer.library.manifest import DType, SegmentRecord
from explorer.library.segments import write_segment
from explorer.library.sources.items import Item
from explorer.points import Space
from explorer.refusals import explain_failure


@dataclass(frozen=True)
class Block:
    """Items that are embedded together, and what the library knows of them."""

    number: int  # from 0, in the order in which blocks are committed
    items: Sequence[Item]
    known: KnownRows


@dataclass(frozen=True)
class Staged:
    """A block that is on disk: its segment, numbered from row 0, and what became of its items."""

    number: int
    segment: SegmentRecord | None  # None if there is nothing to commit
    retired: int = 0  # rows of earlier segments
    outcomes: Counter[str] = field(default_factory=Counter)
    last: str = ""  # the name of its last item


@dataclass(frozen=True)
class Work:
    """What an engine embeds for one library.

    Args:
        folder: of the library, which whoever stages must see under the same name.
        version: of the library, by which it is recognised there.
        model: the name of the model, checked; its weights must be those of `space`.
        encoder: takes the place of the model.
        waiting: blocks, none of them empty.
    """

    folder: FilePath
    version: int
    model: str
    space: Space
    dtype: DType
    waiting: Sequence[Block]
    encoder: Encoder | None = None
    max_megapixels: float | None = None


class Engine(Protocol):
    """What embeds blocks of images elsewhere; see `explorer.scale`."""

    def block_rows(self, total: int) -> int:
        """Return how many of `total` items one block has."""

    def run(self, work: Work) -> Generator[Staged]:
        """Yield every block once, in the order of their numbers, when its segment is on disk."""


def stage(
    folder: FilePath,
    dtype: DType,
    block: Block,
    encoder: Encoder,
    workers: int | None = 0,
    max_megapixels: float | None = None,
) -> Staged:
    """Embed the items of a block and write the segment; failures are listed in it.

    Raises:
        DiskError: the disk is full or refuses.
    """
    results = encoder.embed(
        (item.content for item in block.items), workers=workers, max_megapixels=max_megapixels
    )
    with closing(results):  # type: ignore[type-var]  # a generator, which stops its workers
        made = [changes.embed(block.items[each.index], block.known, each) for each in results]
    rows = [change.row for change in made if change.row is not None]
    failures = [change.failure for change in made if change.failure is not None]
    retired = [change.retired for change in made if change.retired is not None]
    segment = None
    if rows or failures or retired:
        with explain_failure(folder):
            segment = write_segment(folder, 0, dtype, rows, failures, retired)
    outcomes = Counter[str](change.outcome for change in made)
    return Staged(block.number, segment, len(retired), outcomes, block.items[-1].name)


def number(staged: Sequence[Staged], first_row: int) -> tuple[SegmentRecord, ...]:
    """Return the segments of staged blocks with their rows numbered from `first_row` on."""
    segments = []
    for each in staged:
        if each.segment is not None:
            segments.append(replace(each.segment, first_row=first_row))
            first_row += each.segment.rows
    return tuple(segments)
