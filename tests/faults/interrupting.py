"""Commands that are interrupted at random moments, and what they leave behind.

`python tests/faults/interrupting.py 12` does so 12 times with every command and prints a table.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from explorer.library import Library

ROOT = Path(__file__).parents[2]
SECONDS_TO_END = 2
GIVE_UP_SECONDS = 60
WAYS = (  # what is sent, whether to the whole group as a terminal does, how often
    (signal.SIGINT, True, 1),
    (signal.SIGINT, False, 1),
    (signal.SIGTERM, False, 1),
    (signal.SIGTERM, True, 1),
    (signal.SIGINT, True, 2),
)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass
class Row:
    """What came of `count` interrupts of one command; all else should be 0."""

    test: str
    count: int = 0
    lost: int = 0
    wrong: int = 0
    tracebacks: int = 0
    hangs: int = 0
    slowest: float = 0.0
    finished: int = 0  # had ended before the signal came
    said: list[str] = field(default_factory=list)

    @property
    def faults(self):
        return self.lost + self.wrong + self.tracebacks + self.hangs

    def __str__(self):
        cells = (self.test, self.count, self.lost, self.wrong, self.tracebacks, self.hangs)
        too_late = f", {self.finished} came too late" if self.finished else ""
        return " | ".join(map(str, cells)) + f" | slowest {self.slowest:.2f} s{too_late}"


def start(*words):
    """`unclip WORDS` as the leader of a process group of its own, as a terminal starts it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "explorer", *map(str, words)],
        env=environment,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored under nohup, &
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def catches(pid, number):
    """Whether the process handles that signal: Python itself leaves SIGTERM alone."""
    found = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)


def wait_for_entry(process):
    """Wait for the first line of our code; what comes before is Python's own."""
    while process.poll() is None and not catches(process.pid, signal.SIGTERM):
        time.sleep(0.002)


def group(pid):
    """The command lines of what is left of a process group."""
    left = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == pid and fields[0] != "Z":
                left.append((stat.parent / "cmdline").read_bytes().decode().replace("\0", " "))
        except OSError:
            pass
    return left


def interrupt(row, moment, way, *words, patience=SECONDS_TO_END):
    """Run the command, interrupt it after `moment` seconds, and note what is wrong in the row."""
    number, to_all, times = way
    process = start(*words)
    wait_for_entry(process)
    time.sleep(moment)
    send = os.killpg if to_all else os.kill
    if process.poll() is None:
        send(process.pid, number)
        began = time.perf_counter()
        for _ in range(times - 1):
            time.sleep(0.3)
            if process.poll() is None:
                began = time.perf_counter()
                send(process.pid, number)
        try:
            process.wait(GIVE_UP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        seconds = time.perf_counter() - began
        _, said = process.communicate()
        row.slowest = max(row.slowest, seconds)
        if seconds > patience:
            row.hangs += 1
            row.said.append(f"{words[0]} took {seconds:.1f} s after {moment:.2f} s")
        check_end(row, process, CODES[number], said)
    else:
        _, said = process.communicate()
    row.count += 1
    row.finished += process.returncode == 0
    return said


def check_end(row, process, code, said):
    """No traceback, the right code, one line, and no process that goes on."""
    lines = [line for line in said.splitlines() if not line.startswith("unclip: warning:")]
    noisy = "Traceback" in said or "Error" in said or "Exception ignored" in said
    if noisy or process.returncode not in (0, 130, code):
        row.tracebacks += 1
        row.said.append(f"{process.returncode}: {said}")
    elif process.returncode and not (lines and lines[-1].startswith("unclip: interrupted")):
        row.wrong += 1
        row.said.append(f"not one line: {said!r}")
    until = time.monotonic() + SECONDS_TO_END
    while (left := group(process.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    if left:
        row.hangs += 1
        row.said.append(f"left behind: {left}")
        os.killpg(process.pid, signal.SIGKILL)


def interrupt_index(count, folder, images, *, seed=0, longest=None):
    """Index one library, interrupted again and again, then let it end; nothing may be lost.

    Args:
        longest: seconds that an undisturbed run takes; None measures it.
    """
    chance, row = random.Random(seed), Row("unclip index")
    words = ("index", images, "--model", "pocket", "--workers", "2", "--library")
    if longest is None:
        began = time.monotonic()
        assert start(*words, folder / "whole.lib").wait() == 0
        longest = time.monotonic() - began
    library, rows = folder / "cut.lib", 0
    for number in range(count):
        if rows_of(library) == rows_of(folder / "whole.lib") > 0:
            shutil.rmtree(library)  # nothing is left to do: from the start
            rows = 0
        interrupt(row, chance.uniform(0, longest), WAYS[number % len(WAYS)], *words, library)
        before, rows = rows, rows_of(library)
        row.lost += max(0, before - rows)
        row.wrong += rows > 0 and bool(Library.open(library).verify(read_data=True))
    assert start(*words, library).wait() == 0
    done = Library.open(library)
    assert done.verify(read_data=True) == []
    names = list(map(str, done.rows["item"]))
    row.wrong += len(names) - len(set(names))
    row.lost += len(list(Path(images).rglob("*.png"))) - len(set(names))
    if (folder / "whole.lib").exists():
        row.wrong += not same_vectors(done, Library.open(folder / "whole.lib"))
    return row


def rows_of(library):
    return len(Library.open(library)) if library.exists() and any(library.iterdir()) else 0


def same_vectors(one, other):
    by_name = [
        dict(zip(map(str, each.rows["item"]), each.vectors, strict=True)) for each in (one, other)
    ]
    return by_name[0].keys() == by_name[1].keys() and all(
        np.allclose(vector, by_name[1][name], atol=1e-4) for name, vector in by_name[0].items()
    )


def commands(library, out):
    """Every other command that works for a while: its words, the file that it writes, its check."""
    return {
        "search": (("search", library, "cat face", "--sheet", out / "hits.png"), "hits.png", loads),
        "diff": (
            ("diff", "cat face", "--to", "dog face", "-o", out / "diff.png"),
            "diff.png",
            loads,
        ),
        "export": (("export", library, "-o", out / "points.npy"), "points.npy", np.load),
        "map": (("map", library, "-o", out / "map.html"), "map.html", ends_as_html),
    }


def loads(file):
    with Image.open(file) as image:
        image.load()


def ends_as_html(file):
    assert file.read_text().rstrip().endswith("</html>")


def interrupt_command(name, count, folder, library, *, seed=0):
    """Interrupt one of `commands`; what stands at its file's name must be whole."""
    chance, row = random.Random(seed), Row(f"unclip {name}")
    longest = 1.0 if name == "export" else 8.0  # seconds; it is done sooner
    for number in range(count):
        out = folder / f"{name}-{number}"
        out.mkdir()
        words, file, check = commands(library, out)[name]
        interrupt(row, chance.uniform(0, longest), WAYS[number % len(WAYS)], *words)
        if (out / file).exists():
            try:
                check(out / file)
            except (OSError, ValueError, SyntaxError, AssertionError) as error:
                row.wrong += 1
                row.said.append(f"{file} is not whole: {error}")
        if left := [each.name for each in out.iterdir() if each.name != file]:
            row.wrong += 1
            row.said.append(f"left in the folder: {left}")
    return row


def interrupt_training(count, folder, library, *, seed=0, longest=30.0):
    """Interrupt a training: the first signal lets it finish its step and save, a second ends it."""
    chance, row = random.Random(seed), Row("unclip train")
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        words = ("train", "decoder", library, "-o", folder / f"train-{number}", "--minutes", "2")
        saving = SECONDS_TO_END if way[2] > 1 else GIVE_UP_SECONDS
        interrupt(row, chance.uniform(0, longest), way, *words, patience=saving)
    return row


def table(count, folder, library, images):
    """All rows, `count` interrupts each."""
    yield interrupt_index(count, folder, images)
    for name in commands(library, folder):
        yield interrupt_command(name, count, folder, library)
    yield interrupt_training(count, folder, library)


def main():
    from tempfile import TemporaryDirectory

    import explorer

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    images = Path(explorer.__file__).parent / "sample" / "images" / "flat"
    with TemporaryDirectory() as place:
        library = explorer.Library.create(Path(place) / "made.lib", explorer.load("pocket"))
        library.add([images], workers=0)
        print("test | count | lost | silently wrong | tracebacks | hangs")
        faults = 0
        for row in table(count, Path(place), library.folder, images):
            print(row, *row.said, sep="\n  ", flush=True)
            faults += row.faults
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
