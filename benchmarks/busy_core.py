"""Decoding twelve images while another program has one of the cores, and while none has.

    python benchmarks/busy_core.py [--repeats 3]

Each in a fresh process, in turn: as explorer sets libgomp's threads to wait, and as libgomp does by
itself. The other program computes all the time, in a session and on a core of its own.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
BUSY = "while True: pass"
DECODE = """
import time, explorer as ex
model = ex.load("pocket", device="cpu")
points = model.encoder.encode_text([f"cat face {i}" for i in range(12)]).as_image()
list(model.decoder.decode(points[:1]))
began = time.perf_counter()
list(model.decoder.decode(points))
print(time.perf_counter() - began)
"""
OWN = {"OMP_WAIT_POLICY": ""}  # where it is set, explorer sets nothing; empty is the default


@contextmanager
def busy() -> Iterator[None]:
    """Keep the first core busy."""

    def pin() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    process = subprocess.Popen([sys.executable, "-c", BUSY], preexec_fn=pin, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def seconds(more: dict[str, str]) -> float:
    """Decode in a process of its own, with more in its environment."""
    known = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", *OWN)}
    environment = known | {"PYTHONPATH": str(ROOT)} | more
    done = subprocess.run(
        [sys.executable, "-c", DECODE], env=environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    ways = {"explorer": {}, "libgomp's default": OWN}
    print("| waits as | no other program | one core busy |\n|---|---|---|")
    quiet = {way: [] for way in ways}
    loaded = {way: [] for way in ways}
    for _ in range(given.repeats):
        for way, more in ways.items():
            quiet[way].append(seconds(more))
            with busy():
                loaded[way].append(seconds(more))
    for way in ways:
        print(f"| {way} | {median(quiet[way]):.2f} s | {median(loaded[way]):.2f} s |")


if __name__ == "__main__":
    main()
