"""Ctrl-C and SIGTERM of the command line: the process ends at once, with one line.

Files appear whole or not at all (explorer/files.py), so a command may end anywhere. Work that wants
to save what it has done asks for a moment, with `finishing`. A thread of its own watches for
signals: the main thread does not look at them while C code runs, and an exception raised inside
another package's import may be swallowed or end in a traceback.

A process has one set of signal handlers, so this is global; it is off until `install`.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
FINISHING_SECONDS = 1.5
AGAIN = "To go on, run the same command again."
SHOW_CURSOR = "\r\x1b[2K\x1b[?25h"  # and clear the progress bar's line


@dataclass
class Finishing:
    """Work that saves what it has done when it is interrupted.

    Args:
        line: what is saved and how to go on.
        seconds: for how long it may go on; None: until it ends, or until a second signal.
    """

    line: str = AGAIN
    seconds: float | None = FINISHING_SECONDS


@dataclass
class _State:
    code: int = 130
    work: list[Finishing] = field(default_factory=list)
    told: Finishing = field(default_factory=Finishing)  # what was at work at the first signal
    ending: bool = False  # a KeyboardInterrupt is on its way, or the process is about to end
    installed: bool = False
    cleanups: list[Callable[[], object]] = field(default_factory=list)
    last: threading.Lock = field(default_factory=threading.Lock)  # held by the thread that ends it


_STATE = _State()


def install() -> None:
    """Watch for signals from here on; called first of all, in the main thread."""
    if _STATE.installed:
        return
    _STATE.installed = True
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in EXIT_CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _note)
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # Python restores its default
    _silence_when_ending(sys, "unraisablehook")
    _silence_when_ending(threading, "excepthook")
    threading.Thread(target=_watch, args=(read,), name="interrupts", daemon=True).start()


def is_ending() -> bool:
    """Return whether the process is about to end, so that other errors are no news."""
    return _STATE.ending


def at_end(cleanup: Callable[[], object]) -> None:
    """Call this before an interrupt ends the process, which does not run `atexit`."""
    if cleanup not in _STATE.cleanups:
        _STATE.cleanups.append(cleanup)


@contextmanager
def finishing(line: str = AGAIN, seconds: float | None = FINISHING_SECONDS) -> Iterator[Finishing]:
    """Let the block save what it has done: it gets a KeyboardInterrupt, and some seconds.

    With `seconds=None` there is no KeyboardInterrupt; the block looks for signals itself.
    """
    work = Finishing(line, seconds)
    _STATE.work.append(work)
    try:
        yield work
    finally:
        _STATE.work.remove(work)


@contextmanager
def shielded() -> Iterator[None]:
    """Hold Ctrl-C back; processes that the block starts never get it.

    A terminal sends it to the whole process group, and a worker that is still importing would
    print a traceback.
    """
    noted: list[Any] = []
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if main and callable(handler):
        signal.signal(signal.SIGINT, lambda *words: noted.append(words))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if main and callable(handler):
            signal.signal(signal.SIGINT, handler)
            if noted:
                handler(*noted[0])


def end() -> None:
    """End the process now: no worker, no temporary file and no traceback stays behind."""
    _STATE.ending = True
    if not _STATE.last.acquire(blocking=False):
        time.sleep(60)  # another thread is at it
    with suppress(Exception):
        _kill_workers()
    for cleanup in _STATE.cleanups:
        with suppress(Exception):
            cleanup()
    with suppress(Exception):
        if files := sys.modules.get("explorer.files"):
            files.remove_unfinished()
    with suppress(OSError):
        shown = SHOW_CURSOR if os.isatty(2) else ""
        os.write(2, f"{shown}unclip: interrupted. {_STATE.told.line}\n".encode(errors="replace"))
    os._exit(_STATE.code)


def _note(number: int, _frame: object) -> None:
    """In the main thread, between two instructions of Python."""
    work = _STATE.work[-1] if _STATE.work else None
    if work is not None and work.seconds is not None and not _STATE.ending:
        _STATE.ending, _STATE.told, _STATE.code = True, work, EXIT_CODES[signal.Signals(number)]
        raise KeyboardInterrupt


def _watch(read: int) -> None:
    """In a thread of its own: end the process, now or when its work has had its time."""
    received = 0
    while True:
        number = os.read(read, 1)[0]
        if number not in EXIT_CODES:
            continue
        received += 1
        work = _STATE.work[-1] if _STATE.work else None
        if received == 1:
            _STATE.code = EXIT_CODES[signal.Signals(number)]
            _STATE.told = work or _STATE.told
        if received > 1 or (work is None and not _STATE.ending):
            end()
        seconds = _STATE.told.seconds
        if seconds is not None:
            timer = threading.Timer(seconds, end)
            timer.daemon = True
            timer.start()


def _kill_workers() -> None:
    if multiprocessing := sys.modules.get("multiprocessing"):
        for worker in multiprocessing.active_children():
            worker.kill()
    if util := sys.modules.get("multiprocessing.util"):
        util._run_finalizers(0)  # semaphores, of which another process would warn


def _silence_when_ending(module: Any, name: str) -> None:
    before = getattr(module, name)

    def hook(unraised: object) -> None:
        if not _STATE.ending:
            before(unraised)

    setattr(module, name, hook)
