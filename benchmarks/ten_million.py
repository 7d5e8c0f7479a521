"""A library of ten million rows on disk: how long it takes to open and search it, in what memory.

    python benchmarks/ten_million.py --work FOLDER [--rows 10000000] [--dimension 256]

Vectors and queries are as in search_growth.py, stored as float16; each step runs in a process of
its own, in one thread. Seconds and milliseconds are of CPU. "Own memory" is the most that a process
held for itself, looked at 50 times a second; "with mapped files" counts pages of files too, which
the system takes back when it needs them. --work takes 2 × N × D × 2 bytes, a library of 5 GB among
them, and is deleted at the end.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import search_growth
from search_growth import cpu, vectors

QUERIES, PART = 40, 50_000
STEPS = ("import", "build", "first", "search")


def write(work, rows, dimension):
    """Write vectors, and queries with the score of their tenth neighbour."""
    work.mkdir(parents=True)
    file = np.lib.format.open_memmap(work / "base.npy", "w+", np.float16, (rows, dimension))
    random, queries, best = np.random.default_rng(3), None, None
    for number, part in enumerate(vectors(rows, dimension, 1)):
        file[number * PART :][: len(part)] = part
        if queries is None:
            noise = random.normal(size=(QUERIES, dimension)) * 0.5 / dimension**0.5
            queries = (part[random.choice(len(part), QUERIES, replace=False)] + noise).astype("f4")
            queries /= np.linalg.norm(queries, axis=1, keepdims=True)
            best = np.full((QUERIES, 10), -2, np.float32)
        stored = part.astype(np.float16).astype(np.float32)
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        both = np.concatenate([best, queries @ stored.T], axis=1)
        best = -np.partition(-both, 9, axis=1)[:, :10]
    file.flush()
    np.savez(work / "queries.npz", queries=queries, tenth=best.min(axis=1))


def opened(work):
    """Open the library."""
    from explorer.library import Library

    return Library.open(work / "library")


def imported(work):
    """Import the vectors, without a table."""
    from explorer.library import Library
    from explorer.library.importing import plan
    from explorer.library.store import create_store
    from explorer.points import Space

    base = np.load(work / "base.npy", mmap_mode="r")
    space = Space("growth", base.shape[1], "0" * 64)
    library = Library(create_store(work / "library", space, "float16", "growth"))
    for _ in library.importing_vectors(plan(work / "base.npy", space)):
        pass
    (work / "base.npy").unlink()
    return {}


def searched(work):
    """Open the library and search it: the first answer, then all queries."""
    from explorer.points import Points

    with np.load(work / "queries.npz") as file:
        queries, tenth = file["queries"], file["tenth"]

    def first():
        library = opened(work)
        return library, library.search(Points(queries[:1], library.space, "image"), 10).items

    seconds, (library, _) = cpu(first)

    def search(query):
        hits = library.search(Points(query[None], library.space, "image"), 10)
        assert len(hits.items) == 10  # their names are part of the answer
        return hits.scores

    recall, milliseconds = search_growth.searched(search, queries, tenth)
    again = [cpu(lambda query=query: search(query))[0] for query in queries]
    told = {"open_and_first": seconds, "recall": recall, "ms": milliseconds}
    return told | {"ms_again": 1e3 * statistics.median(again), "index": library.info()["index"]}


def stage(work, step):
    """Run one step; print its figures as JSON."""
    calls = {
        "import": lambda: imported(work),
        "build": lambda: {"changed": opened(work).update_index()},
        "first": lambda: searched(work),
        "search": lambda: searched(work),
    }
    seconds, told = cpu(calls[step])
    print("\n" + json.dumps(told | {"seconds": seconds, "peak_mb": memory_mb("VmHWM")}))


def memory_mb(name, process="self"):
    """Read a line of Linux's status of a process, in MB; 0 of one that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return int((status.partition(f"{name}:")[2].split() or ["0"])[0]) * 1024 / 1e6


def watched(command):
    """Run a step in a process of one thread: its figures, and the most that was its own."""
    one, own = os.environ | {"OMP_NUM_THREADS": "1"}, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one) as process:
        while process.poll() is None:
            own = max(own, memory_mb("RssAnon", process.pid))
            time.sleep(0.02)
        told = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"The step {command[-1]} ended with exit code {process.returncode}.")
    return json.loads(told) | {"own_mb": own}


def table(rows, dimension, found):
    """Return the lines of the table, and the recall."""
    last = found["search"]
    named = {
        "import": ("import", f"{found['import']['seconds']:.0f}"),
        "build": ("build of the index", f"{found['build']['seconds']:.0f}"),
        "search": (
            f"open, a first answer and {QUERIES} queries ({last['index']})",
            f"{last['open_and_first']:.2f} for the first, {last['ms'] / 1e3:.4f} a query, "
            f"{last['ms_again'] / 1e3:.4f} again",
        ),
    }
    lines = [
        f"| {rows:,} × {dimension}, float16 | seconds | own memory, MB | with mapped files, MB |"
    ]
    lines += ["|---|---|---|---|"]
    for step, (name, seconds) in named.items():
        own, most = (found[step][memory] for memory in ("own_mb", "peak_mb"))
        lines.append(f"| {name} | {seconds} | {own:.0f} | {most:.0f} |")
    return "\n".join([*lines, "", f"recall@10 of {QUERIES} queries: {last['recall']:.4f}"])


def main():
    """Write, import, build, open and search; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder that does not exist")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--stage", choices=STEPS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        stage(given.work, given.stage)
        return
    search_growth.check_new(given.work)  # before anything is deleted
    command, found = [sys.executable, __file__, "--work", str(given.work), "--stage"], {}
    try:
        seconds, _ = cpu(lambda: write(given.work, given.rows, given.dimension))
        print(f"written in {seconds:.0f} s", flush=True)
        for step in STEPS:
            found[step] = watched([*command, step])
            print(step, json.dumps(found[step]), flush=True)
    finally:
        shutil.rmtree(given.work, ignore_errors=True)
    print(table(given.rows, given.dimension, found))


if __name__ == "__main__":
    main()
