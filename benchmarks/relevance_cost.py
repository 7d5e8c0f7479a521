"""What `min_score="auto"` costs beside a plain search, in N × D random vectors.

    python benchmarks/relevance_cost.py [--rows 1000000] [--dimension 512] [--library LIB]

Nothing is encoded: the vectors have no images, and a query is a vector like them, so the neutral
queries are 256 rows; for words they are 265 phrases. Without --library it imports the vectors first
(twice N × D × 4 bytes below --folder, deleted at the end).
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from import_vectors import write_vectors

from explorer.library import Library
from explorer.library.importing import plan
from explorer.library.store import create_store
from explorer.points import Points, Space

WARM = 7  # searches, of which the median is given


def imported(folder: Path, rows: int, dimension: int) -> Path:
    """Import random vectors into a library, and return its folder."""
    space = Space("random", dimension, "0" * 64)
    write_vectors(folder / "v.npy", rows, dimension)
    library = Library(create_store(folder / "library", space, "float32", "random"))
    for _ in library.importing_vectors(plan(folder / "v.npy", space)):
        pass
    return library.folder


def seconds(library: Library, query: Points, **options: str) -> float:
    """Time one search."""
    began = time.perf_counter()
    library.search(query, 12, **options)
    return time.perf_counter() - began


def measure(folder: Path) -> dict[str, float]:
    """Search plainly and with the cut: first, warm, and first again in a library opened anew."""
    library = Library.open(folder)
    for old in library.cache_folder.glob("relevance-*"):
        old.unlink()
    near = library.vectors[17] + np.random.default_rng(1).standard_normal(library.space.dimension)
    query = Points(near[None].astype(np.float32), library.space, "image")
    auto = {"min_score": "auto"}
    result = {"rows": len(library), "dimension": library.space.dimension}
    result["plain_first"] = seconds(library, query)
    result["plain_warm"] = statistics.median(seconds(library, query) for _ in range(WARM))
    result["auto_first"] = seconds(library, query, **auto)
    result["auto_warm"] = statistics.median(seconds(library, query, **auto) for _ in range(WARM))
    again = Library.open(folder)
    seconds(again, query)
    result["auto_first_when_cached"] = seconds(again, query, **auto)
    return {name: round(value, 3) for name, value in result.items()}


def main() -> None:
    """Print the seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--folder", help="where to write; default: a temporary folder")
    parser.add_argument("--library", type=Path, help="one that exists, instead")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="relevance-", dir=given.folder))
    try:
        found = given.library or imported(folder, given.rows, given.dimension)
        print(json.dumps(measure(found)))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
