"""Import N × D random vectors into a library: seconds and peak memory.

    python benchmarks/import_vectors.py [--rows 1000000] [--dimension 512] [--captions]

Nothing is encoded: the vectors have no images. The vectors and the library (together about twice
N × D × 4 bytes) are written below --folder and deleted at the end.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from explorer.library import Library
from explorer.library.importing import plan
from explorer.library.store import create_store
from explorer.points import Space

CHUNK_ROWS = 50_000


def write_vectors(file, rows, dimension):
    """Write random float32 vectors, a chunk at a time."""
    random = np.random.default_rng(0)
    array = np.lib.format.open_memmap(file, "w+", np.float32, (rows, dimension))
    for start in range(0, rows, CHUNK_ROWS):
        stop = min(start + CHUNK_ROWS, rows)
        array[start:stop] = random.standard_normal((stop - start, dimension), dtype=np.float32)
    array.flush()


def write_table(file, rows):
    """Write a Parquet table of addresses and captions."""
    import pyarrow as pa
    from pyarrow import parquet

    urls = [f"https://example.org/images/{i:09d}.jpg" for i in range(rows)]
    captions = [f"the picture with number {i}" for i in range(rows)]
    parquet.write_table(pa.table({"url": urls, "caption": captions}), file)


def peak_mb():
    """The largest resident memory of this process so far, in MB (of Linux)."""
    status = Path("/proc/self/status").read_text()  # getrusage would count the parent's, too
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def measure(folder, rows, dimension):
    """Import once and again; seconds of each, and the peak memory after each."""
    space, table = Space("random", dimension, "0" * 64), folder / "table.parquet"
    result = {"rows": rows, "dimension": dimension, "table": table.exists(), "start_mb": peak_mb()}
    library = Library(create_store(folder / "library", space, "float32", "random"))
    for name in ("first", "again"):
        began, used = time.perf_counter(), time.process_time()
        planned = plan(folder / "v.npy", space, table=table if table.exists() else None)
        looked = time.perf_counter()
        *_, last = library.importing_vectors(planned)
        result[f"{name}_seconds"] = time.perf_counter() - began
        result[f"{name}_cpu_seconds"] = time.process_time() - used
        result[f"{name}_look_seconds"] = looked - began
        result[f"{name}_peak_mb"] = peak_mb()
        result[f"{name}_added"] = last.added
    print(json.dumps({k: round(v, 1) if isinstance(v, float) else v for k, v in result.items()}))


def main():
    """Write the vectors, measure in a process of its own, and delete all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--captions", action="store_true", help="with a table of two columns")
    parser.add_argument("--folder", help="where to write; default: a temporary folder")
    parser.add_argument("--in", dest="inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        measure(Path(given.inside), given.rows, given.dimension)
        return
    folder = Path(tempfile.mkdtemp(prefix="import-", dir=given.folder))
    try:
        write_vectors(folder / "v.npy", given.rows, given.dimension)
        if given.captions:
            write_table(folder / "table.parquet", given.rows)
        size = ["--rows", str(given.rows), "--dimension", str(given.dimension)]
        subprocess.run([sys.executable, __file__, "--in", str(folder), *size], check=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
