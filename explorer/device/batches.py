"""Batches: rows in slices that halve where the memory does not suffice."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from explorer.device import free_cache
from explorer.notes import note
from explorer.refusals import is_out_of_memory

T = TypeVar("T")


class Batches:
    """Slices of at most `size` rows; `size` is smaller after memory did not suffice.

    >>> batches = Batches(4)
    >>> [(rows.start, rows.stop) for rows in batches.run(6, lambda rows: rows)]
    [(0, 4), (4, 6)]
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, n: int, call: Callable[[slice], T]) -> Iterator[T]:
        """Yield `call(rows)` for slices that cover n rows in order.

        A slice for which the memory does not suffice is halved and called again, and those after it
        are as small. What a single row raises is raised.
        """
        start = 0
        while start < n:
            rows = slice(start, min(start + self.size, n))
            done, result = self._tried(rows, call)
            if done:
                yield from result
                start = rows.stop

    def _tried(self, rows: slice, call: Callable[[slice], T]) -> tuple[bool, list[T]]:
        """Return whether the call was done, with its result; else halve the size."""
        count = rows.stop - rows.start
        try:
            return True, [call(rows)]
        except (MemoryError, RuntimeError) as error:
            if count == 1 or not is_out_of_memory(error):
                raise
        self.size = count // 2  # after the error is gone, which held the tensors of the call
        free_cache()
        note(f"The memory did not suffice for {count} at once: {self.size} are computed at a time.")
        return False, []
