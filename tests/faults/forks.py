"""Work in a forked copy of this process, which can be killed at any moment.

A copy has its imports done: what is disturbed is the work, not the start of Python. This process
must not have started threads, so whatever reads a library runs in a copy too.
"""

import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback

HANG_SECONDS = 120


class Fork:
    """A running copy: `said` are the lines that it reported, `log` what it printed."""

    def __init__(self, work, *arguments):
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  read once it has ended
        self.said, self.code = [], None
        self._pipe, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._work(write, work, arguments)
        os.close(write)
        self._rest, self.hung = b"", False

    def _work(self, write, work, arguments):
        code = 1
        try:
            os.close(self._pipe)
            for number in (1, 2):
                os.dup2(self.log.fileno(), number)
            work(lambda value: os.write(write, json.dumps(value).encode() + b"\n"), *arguments)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # noqa: BLE001  what it counts
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def listen(self, seconds):
        """Read what is reported until then; return whether the copy goes on."""
        until = time.monotonic() + seconds
        while select.select([self._pipe], [], [], max(0, until - time.monotonic()))[0]:
            block = os.read(self._pipe, 65536)
            *lines, self._rest = (self._rest + block).split(b"\n")
            self.said += map(json.loads, lines)
            if not block:
                return False
        return True

    def wait_for(self, count, seconds=HANG_SECONDS):
        """Read until `count` values are reported, or it ends; return whether it goes on."""
        until = time.monotonic() + seconds
        while len(self.said) < count:
            if not self.listen(0.002):
                return False
            if time.monotonic() > until:
                self.hung = True
                return True
        return True

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def end(self, seconds=HANG_SECONDS):
        """Wait for its end and return its exit code, negative for a signal."""
        if self.listen(seconds):
            self.hung = True
            self.kill()
            self.listen(seconds)
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._pipe)
        return self.code

    @property
    def printed(self):
        self.log.seek(0)
        return self.log.read()


def call(work, *arguments):
    """What `work(*arguments)` returns in a copy, through JSON."""
    copy = Fork(lambda say: say(work(*arguments)))
    if copy.end() or not copy.said:
        raise RuntimeError(copy.printed)
    return copy.said[0]
