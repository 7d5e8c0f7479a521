"""A library of ten million rows on disk: how long it takes to open and search it, in what memory.

    python benchmarks/ten_million.py --work FOLDER [--rows 10000000] [--dimension 256]

Vectors and queries are as in search_growth.py, stored as float16; each step runs in a process of
its own, in one thread. Seconds and milliseconds are of CPU; memory is the most that a process held
itself, without the system's cache of files. --work takes 2 × N × D × 2 bytes, a library of 5 GB
among them, and is deleted at the end.
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
import search_growth
from search_growth import cpu, in_one_thread, vectors

QUERIES, PART = 40, 50_000
STEPS = ("write", "import", "build", "first", "search")


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
    return {}


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
    told |= {"ms_again": 1e3 * statistics.median(again), "index": library.info()["index"]}
    return told | {"resident_mb": search_growth.resident_mb()}


def stage(work, step):
    """Run one step; print its figures as JSON."""
    calls = {
        "import": lambda: imported(work),
        "build": lambda: {"changed": opened(work).update_index()},
        "first": lambda: searched(work),
        "search": lambda: searched(work),
    }
    seconds, told = cpu(calls[step])
    print("\n" + json.dumps(told | {"seconds": seconds, "peak_mb": peak_mb()}))


def peak_mb():
    """The most memory that this process held, in MB (of Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


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
    command, found = [sys.executable, __file__, "--work", str(given.work), "--stage"], {}
    try:
        seconds, _ = cpu(lambda: write(given.work, given.rows, given.dimension))
        print(f"written in {seconds:.0f} s", flush=True)
        for step in STEPS[1:]:
            found[step] = in_one_thread([*command, step])
            print(step, json.dumps(found[step]), flush=True)
    finally:
        shutil.rmtree(given.work, ignore_errors=True)
    print(f"| {given.rows:,} × {given.dimension}, float16 | seconds | most memory, MB |")
    print("|---|---|---|")
    names = {"import": "import", "build": "build of the index"}
    for step, name in names.items():
        print(f"| {name} | {found[step]['seconds']:.0f} | {found[step]['peak_mb']:.0f} |")
    last = found["search"]
    print(f"| open and first answer | {last['open_and_first']:.2f} | – |")
    print(f"| one query ({last['index']}) | {last['ms'] / 1e3:.4f} | {last['peak_mb']:.0f} |")
    print(f"\nrecall@10 of {QUERIES} queries: {last['recall']:.4f}")


if __name__ == "__main__":
    main()
