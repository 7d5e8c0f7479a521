"""Side by side: the parts of a batch on a CPU, each computed by one thread from beginning to end.

torch splits every operation over its threads, which wait for each other at the end of each, and
spin meanwhile: on cores that have other work, most of the time goes there. It works with any call.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")
LEAST_ROWS = 4  # of a part; small batches take longer a row
ROWS, MOST_PARTS = 32, 4  # images of a part, and parts that a batch grows by


def rows_on_cpu() -> int:
    """Return how many images a batch has, so that each thread has enough of them."""
    import torch

    return ROWS * min(torch.get_num_threads(), MOST_PARTS)


def parts(rows: int) -> list[slice]:
    """Return slices of a batch, as many as threads compute it and as even as can be.

    >>> import torch
    >>> before = torch.get_num_threads()
    >>> torch.set_num_threads(2)
    >>> parts(11), parts(7)
    ([slice(0, 5, None), slice(5, 11, None)], [slice(0, 7, None)])
    >>> torch.set_num_threads(before)
    """
    import torch

    count = max(1, min(torch.get_num_threads(), rows // LEAST_ROWS))
    ends = [rows * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def side_by_side(call: Callable[[slice], T], slices: Sequence[slice]) -> list[T]:
    """Return `call` of each slice, in order; each slice has its share of torch's threads.

    Args:
        call: of torch, without gradients; it is made in other threads, unless there is one slice.
    """
    import torch

    threads = torch.get_num_threads()
    count = min(threads, len(slices))
    if count == 1:
        return [call(rows) for rows in slices]

    def alone(rows: slice) -> T:
        with torch.inference_mode():
            return call(rows)

    return list(_pool(count, threads // count).map(alone, slices))


@cache
def _pool(count: int, threads: int) -> ThreadPoolExecutor:
    """Return so many threads, in each of which torch's operations take so many threads."""
    import torch

    before, started = torch.get_num_threads(), Barrier(count)

    def start() -> None:
        torch.get_num_threads()  # a thread that was not asked takes at its first work what is usual
        torch.set_num_threads(threads)
        started.wait()

    pool = ThreadPoolExecutor(count, "unclip-torch")
    for future in [pool.submit(start) for _ in range(count)]:
        future.result()
    torch.set_num_threads(before)  # what a thread sets is what threads that start later take
    return pool
