"""A call of the system fails once, by strace: a write, fsync or rename, each in its turn."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import writers
from known_rows import SAMPLE
from table import Row, Skipped
from typer.testing import CliRunner

from explorer.cli import unclip

WRITERS = ("index", "import", "forget", "cluster", "export npy", "export parquet", "decode")
CALLS = ("write", "fsync", "rename")
CONFIRMATION = "is in its place and whole, but the disk did not confirm its name"
MAX_WRITES = 12  # of a command: those of a data file repeat


@contextmanager
def failing(call, error, number, place):
    """Let the `number`-th such call of this process fail; `place` is for writers.run."""
    command = ["strace", "-f", "-qq", "-o", place / "trace", "-e", f"trace={call}"]
    command += ["-e", f"inject={call}:error={error}:when={number}", "-p", str(os.getpid())]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
            if tracer.poll() is not None:
                raise Skipped(f"strace cannot attach: {tracer.stderr.read().decode().strip()}")
            time.sleep(0.01)
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def once(name, call, error, number, root, inputs):
    """Run a writer with one call failing; the outcome, and whether a call failed."""
    with tempfile.TemporaryDirectory(dir=root) as trace:
        place = root / f"{name} {call} {number}"
        place.mkdir()

        def fault(_place):
            return failing(call, error, number, Path(trace))

        found = writers.run(name, fault, place, inputs)
        injected = "(INJECTED)" in (Path(trace) / "trace").read_text()
        shutil.rmtree(place)
        return found, injected


def problems(name, found):
    """What is not as it should be: lost files, half ones, an end that is neither of the two."""
    unconfirmed = found.code == 2 and CONFIRMATION in found.said
    if found.code == 0 or unconfirmed:  # done: without a cache, or without the disk's last word
        target = writers.WRITERS[name].target
        whole = [file for file in found.lost if file != target and not file.startswith("kept/")]
        if name == "forget":
            whole = [said for said in whole if not said.endswith(" rows")]
        return whole, []
    ok = found.code == 2 and len(found.sentences) == 1
    return found.lost, found.half if ok else [*found.half, f"code {found.code}: {found.said}"]


def make_inputs(root):
    """What the writers read."""
    images, library = root / "few", root / "library"
    (images / "flat").mkdir(parents=True)
    for name in (writers.IMAGE, writers.OTHER, "2600.png", "26c4.png"):
        shutil.copy(SAMPLE / "flat" / name, images / "flat")
    words = ["index", str(images), "--library", str(library), "--model", "pocket"]
    assert CliRunner().invoke(unclip, words).exit_code == 0
    (root / "inputs").mkdir()
    return writers.make_inputs(root / "inputs", images, library)


def outcomes(names, error, root):
    """Fail each call of these writers in its turn; yield what failed, and the outcome."""
    inputs = make_inputs(root)
    for name in names:
        for call in CALLS:
            for number in range(1, MAX_WRITES + 1):
                found, injected = once(name, call, error, number, root, inputs)
                if not injected:
                    break
                yield name, f"{call} {number}", found


def run(count, error):
    """Fail each call of at most `count` writers, in turn, until all calls have failed."""
    if not shutil.which("strace"):
        raise Skipped("strace is not installed")
    tried = lost = wrong = tracebacks = hangs = 0
    notes = [f"write, fsync and rename of {', '.join(WRITERS[:count])}"]
    with tempfile.TemporaryDirectory() as folder:
        for name, call, found in outcomes(WRITERS[:count], error, Path(folder)):
            missing, half = problems(name, found)
            tried += 1
            lost += bool(missing)
            wrong += bool(half)
            tracebacks += found.traceback
            hangs += found.seconds > writers.HANG_SECONDS
            if missing or half or found.traceback:
                notes.append(f"{name}, {call}: {missing} {half} {found.said}"[:400])
    test = f"a call fails once: {error}"
    yield Row(test, tried, lost, wrong, tracebacks, hangs, "; ".join(notes))
