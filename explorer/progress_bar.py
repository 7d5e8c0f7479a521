"""A progress bar for notebooks and scripts; nothing in this package draws one by itself."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], total: int | None = None, label: str = "") -> Iterator[T]:
    """Pass items on while a bar of tqdm counts them, in a notebook or a terminal.

    Args:
        total: the number of items; None asks the iterable itself.
        label: stands before the bar.

    >>> list(progress(range(3)))
    [0, 1, 2]
    """
    from tqdm.auto import tqdm

    yield from tqdm(items, total=total, desc=label or None, leave=False)
