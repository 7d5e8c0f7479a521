"""Priority: no thread runs in real time because a library asked for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

THREADS = "/proc/self/task"


@contextmanager
def same_priority() -> Iterator[None]:
    """Take back the real-time priority that threads get within the block.

    As root libsvtav1 gives SCHED_FIFO 99 to the thread that calls it and to its own. That outlasts
    the video, passes on to child processes, and leaves other programs next to nothing of the CPU.
    """
    before = policies()
    if not before:
        yield
        return
    own, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread, policy in policies().items():
            if policy != before.get(thread, own):
                with suppress(ProcessLookupError):
                    os.sched_setscheduler(thread, own, parameters)


def policies() -> dict[int, int]:
    """Return how Linux schedules each thread of this process; nothing on other systems."""
    found: dict[int, int] = {}
    if not os.path.isdir(THREADS):
        return found
    for name in os.listdir(THREADS):
        with suppress(ProcessLookupError):  # it has just ended
            found[int(name)] = os.sched_getscheduler(int(name))
    return found
