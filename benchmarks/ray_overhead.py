"""What an index with Ray takes beside one without, on the same cores: `python ray_overhead.py`.

Fresh processes in turn. "start" is what passes before the first images are embedded: imports, the
model, and with Ray its own start and that of its actors; "images/s" is of what follows, and so is
the processor time of this process and all below it, which other work on the machine hardly changes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CORES = 2


def write_images(folder, count):
    """Smooth random drawings of 256 pixels."""
    folder.mkdir()
    for number in range(count):
        small = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((256, 256)).save(folder / f"{number:06}.png")


def measure(who, images, library):
    """Index in this process, and print figures as JSON."""
    began = time.perf_counter()
    from explorer.library import Library

    options = {"workers": CORES}
    if who == "ray":
        from explorer.scale.ray_engine import RayEngine

        options = {"engine": RayEngine(actors=CORES)}
    made = Library.create(library, "pocket")
    seen, looked = [], 0.0
    for step in made.adding(images, **options):
        now = time.perf_counter() - began
        if step.embedded and now - looked > 0.5:
            seen.append((now, step.embedded, processor_seconds()))
            looked = now
    whole = time.perf_counter() - began
    (first, already, before), (last, total, used) = seen[0], seen[-1]
    figures = {"seconds": whole, "start": first, "rate": (total - already) / (last - first)}
    figures |= {"processor_ms": 1000 * (used - before) / (total - already), "rows": len(made)}
    print(json.dumps(figures))


def processor_seconds():
    """Seconds of processors that this process and those below it have used."""
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                values = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(values[1])
            used[int(entry.name)] = sum(map(int, values[11:15]))  # and of those that ended
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return sum(used.get(pid, 0) for pid in mine) / os.sysconf("SC_CLK_TCK")


def main():
    """Run pairs in turn and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--stage", nargs=3)
    asked = parser.parse_args()
    if asked.stage:
        measure(*asked.stage)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder) / "images", asked.images)
        found = {"local": [], "ray": []}
        for pair in range(asked.pairs):
            for who in found if pair % 2 == 0 else reversed(found):
                words = [who, f"{folder}/images", f"{folder}/{who}{pair}.lib"]
                done = subprocess.run(
                    [sys.executable, __file__, "--stage", *words],
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                found[who].append(json.loads(done.stdout.splitlines()[-1]))
                print(who, found[who][-1], file=sys.stderr)
    print("| engine | start, s | images/s | processor, ms an image | seconds |")
    print("|---|---|---|---|---|")
    for who, runs in found.items():
        middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        told = " | ".join(f"{middle[n]:.1f}" for n in ("start", "rate", "processor_ms", "seconds"))
        print(f"| {who} | {told} |")
    for name, power in (("rate", -1), ("processor_ms", 1)):
        pairs = zip(found["local"], found["ray"], strict=True)
        ratios = [(ray[name] / local[name]) ** power for local, ray in pairs]
        print(f"with Ray / without, by {name}: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
