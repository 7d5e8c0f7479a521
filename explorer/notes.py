"""Notes: sentences that a result needs beside it, from where they arise to whoever shows them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_COLLECTED: ContextVar[list[str] | None] = ContextVar("collected notes", default=None)


def note(sentence: str) -> None:
    """Hand a sentence to the innermost `collecting`, once; without one, log it as a warning."""
    collected = _COLLECTED.get()
    if collected is None:
        logging.getLogger("explorer").warning(sentence)
    elif sentence not in collected:
        collected.append(sentence)


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Collect the notes of this thread, to show them in one place.

    >>> with collecting() as notes:
    ...     note("cut"), note("cut")
    (None, None)
    >>> notes
    ['cut']
    """
    notes: list[str] = []
    token = _COLLECTED.set(notes)
    try:
        yield notes
    finally:
        _COLLECTED.reset(token)
