"""Measure what it costs to open a library whose stored files are checked, and to read its vectors.

    python benchmarks/full_check.py --rows 100000 --dimension 768
    python benchmarks/full_check.py --rows 1000000 --dimension 512

First open: all files are read and their SHA-256 compared. Later opens: size, times and inode are.
The library is written below --work, and deleted at the end.
"""

import argparse
import hashlib
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

import explorer as ex
from explorer.library.checked_files import SETTLED_SECONDS
from explorer.library.segments import NO_IMAGE, Row
from explorer.library.store import create_store

SEGMENT_ROWS = 10_000
T = TypeVar("T")


def main() -> None:
    """Write a library of random vectors, open it several times, and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--work", help="folder for the library; default: a temporary one")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="full-check-", dir=given.work))
    try:
        _measure(work, given.rows, given.dimension)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _measure(work: Path, rows: int, dimension: int) -> None:
    _write(work / "test.lib", rows, dimension)
    os.sync()
    time.sleep(SETTLED_SECONDS + 0.5)
    segments = list((work / "test.lib" / "segments").glob("*/vectors.npy"))
    size = sum(file.stat().st_size for file in segments)
    print(f"{rows:,} × {dimension} float32, {size / 1e9:.2f} GB in {len(segments)} segments")
    _time("read the vectors' bytes", lambda: [_bytes_of(file) for file in segments])
    _time("first open: all files are read", lambda: ex.Library.open(work / "test.lib"))
    library = _time("later open", lambda: ex.Library.open(work / "test.lib"))
    query = library.points([0])
    vectors = library.vectors
    _time("read all vectors, 4096 rows at a time",
          lambda: [vectors[at : at + 4096].sum() for at in range(0, rows, 4096)])  # fmt: skip
    some = np.random.default_rng(0).choice(rows, 1000, replace=False)
    _time("read 1,000 rows at random", lambda: vectors[some])
    _time("first search, which builds the index", lambda: library.search(query))
    _time("verify", library.verify)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB")


def _write(folder: Path, rows: int, dimension: int) -> None:
    store = create_store(folder, ex.Space("random", dimension, "0" * 64), "float32", "random")
    random = np.random.default_rng(0).standard_normal((SEGMENT_ROWS, dimension), dtype=np.float32)
    for start in range(0, rows, SEGMENT_ROWS):
        vectors = np.roll(random, start // SEGMENT_ROWS, axis=1)
        names = (f"/none/{number:09d}.jpg" for number in range(start, start + SEGMENT_ROWS))
        segment = [
            Row(name.encode(), b"", name, "0" * 64, 1, 1, 1, 1, "/none", NO_IMAGE, {}, vector)
            for name, vector in zip(names, vectors, strict=True)
        ][: rows - start]
        store.commit(rows=segment)


def _bytes_of(file: Path) -> str:
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _time(what: str, work: Callable[[], T]) -> T:
    began, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    print(f"{what:42} {seconds:8.2f} s, of which CPU {used:8.2f} s", flush=True)
    return result


if __name__ == "__main__":
    main()
