"""Writing to a library: under the lock, at the newest version, and never onto damage."""

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from explorer.errors import LibraryDamaged
from explorer.library.lock import WriterLock
from explorer.library.store import Store


@contextmanager
def writing_to(store: Store) -> Iterator[None]:
    """Hold the writer's lock within the block; the store is at the newest version.

    Raises:
        LibraryLocked: another process is writing.
        LibraryDamaged: some of its segments are damaged.
    """
    with WriterLock(store.folder):
        store.refresh()
        if store.damaged:
            raise LibraryDamaged(
                f"The library {store.folder} has damaged segments. So that nothing is lost or "
                f"doubled by writing to it, first: unclip repair {quote(str(store.folder))}"
            )
        store.collect_garbage()
        yield
