"""What an index with Ray takes beside one without, on the same cores: `python ray_overhead.py`.

Fresh processes in turn. "start" is what passes before the first images are embedded: imports, the
model, and with Ray its own start and that of its actors; "images/s" is of what follows, and so is
"CPU, ms": the processor time an image takes in all processes, which tells more on a busy machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
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


class Processor(threading.Thread):
    """Adds up the processor time of this process and of all below it, those that ended too."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ticks = {}  # of each process, when it was last seen
        self.start()

    def run(self):
        while True:
            self.look()
            time.sleep(0.2)

    def look(self):
        """Note the time of every process of the tree now."""
        table = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                table[int(entry.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
        own = level = {os.getpid()}
        while level:
            level = {pid for pid, (parent, _) in table.items() if parent in level} - own
            own = own | level
        self.ticks |= {pid: table[pid][1] for pid in own if pid in table}

    def seconds(self):
        """Return the seconds up to now."""
        self.look()
        return sum(self.ticks.values()) / os.sysconf("SC_CLK_TCK")


def measure(who, images, library):
    """Index in this process, and print figures as JSON."""
    began = time.perf_counter()
    from explorer.library import Library

    options = {"workers": CORES}
    if who == "ray":
        from explorer.scale.ray_engine import RayEngine

        options = {"engine": RayEngine(actors=CORES)}
    made = Library.create(library, "pocket")
    seen, processor = [], Processor()
    for step in made.adding(images, **options):
        if step.embedded:
            now = time.perf_counter() - began
            seen.append((now, step.embedded, processor.seconds()))
    whole = time.perf_counter() - began
    (first, already, before), (last, total, after) = seen[0], seen[-1]
    told = {"seconds": whole, "start": first, "rate": (total - already) / (last - first)}
    told["cpu_ms"] = 1000 * (after - before) / (total - already)
    print(json.dumps(told | {"rows": len(made)}))


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
    print("| engine | start, s | images/s | CPU, ms | seconds |\n|---|---|---|---|---|")
    for who, runs in found.items():
        middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        print(f"| {who} | {middle['start']:.1f} | {middle['rate']:.1f} | "
              f"{middle['cpu_ms']:.1f} | {middle['seconds']:.1f} |")  # fmt: skip
    pairs = list(zip(found["local"], found["ray"], strict=True))
    for what, ratios in {
        "Time": [local["rate"] / ray["rate"] for local, ray in pairs],
        "CPU": [ray["cpu_ms"] / local["cpu_ms"] for local, ray in pairs],
    }.items():
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"\n{what} of an image with Ray / without: {statistics.median(ratios):.2f} ({shown})")


if __name__ == "__main__":
    main()
