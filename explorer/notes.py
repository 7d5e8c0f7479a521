"""Notes: sentences that a result needs beside it, from where they arise to whoever shows them."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Notes(list[str]):
    """Sentences that were noted; `damage` are those about stored data that is not used."""

    def __init__(self, urgent: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self.damage: list[str] = []
        self._urgent = urgent

    def take(self, sentence: str, damage: bool) -> None:
        """Keep a sentence, once; one about damage is shown at once if there is a way to."""
        if damage and sentence not in self.damage:
            self.damage.append(sentence)
            if self._urgent is not None:
                self._urgent(sentence)
        if sentence not in self and not (damage and self._urgent):
            self.append(sentence)


_COLLECTED: ContextVar[Notes | None] = ContextVar("collected notes", default=None)


def note(sentence: str, *, damage: bool = False) -> None:
    """Hand a sentence to the innermost `collecting`, once; without one, log it as a warning.

    Args:
        damage: it says that stored data is damaged and not used, so that the result lacks some.
    """
    collected = _COLLECTED.get()
    if collected is None:
        logging.getLogger("explorer").warning(sentence)
    else:
        collected.take(sentence, damage)


def counted(number: int, what: str = "image") -> str:
    """Return a number of things, as a sentence has it.

    >>> counted(1), counted(1720), counted(0, "group")
    ('1 image', '1,720 images', '0 groups')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"


@contextmanager
def collecting(urgent: Callable[[str], None] | None = None) -> Iterator[Notes]:
    """Collect the notes of this thread, to show them in one place.

    Args:
        urgent: shows a sentence about damage at once, before the work goes on.

    >>> with collecting() as notes:
    ...     note("cut"), note("cut")
    (None, None)
    >>> notes
    ['cut']
    """
    notes = Notes(urgent)
    token = _COLLECTED.set(notes)
    try:
        yield notes
    finally:
        _COLLECTED.reset(token)
