"""Search as a library grows: ours beside FAISS's Flat and HNSW32, in turn, in fresh processes.

    python benchmarks/search_growth.py --sizes 1000x512 100000x768 1000000x512 --work /tmp/growth

Vectors lie around 3,000 centres of unequal size, with noise whose variance falls as 1 / dimension;
queries are rows with noise of half their length, which are no rows. Recall@10 is that of the exact
neighbours. Seconds are of CPU (one thread), since the machine may be shared; `filter 1/7` keeps a
random seventh of the rows, `filter 50` fifty of them. `add` is 1 % more rows, and the first search
after it. Nothing is encoded, and everything is written below --work: three times N × D × 4 bytes.
HNSW is built up to --hnsw rows.
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

ENGINES, QUERIES = ("ours", "Flat", "HNSW32"), 40
COLUMNS = ("recall", "build", "open_and_first", "warm_ms", "filter_7_ms", "filter_50_ms", "add")


def vectors(rows, dimension, seed):
    """Yield unit vectors around centres, 50,000 at a time."""
    fixed, random = np.random.default_rng(0), np.random.default_rng(seed)
    spread = np.arange(1, dimension + 1) ** -0.5
    spread = (spread / np.linalg.norm(spread)).astype(np.float32)
    axes = fixed.permutation(dimension)
    middle = fixed.normal(size=dimension)
    middle /= np.linalg.norm(middle)
    centres = middle + fixed.normal(size=(3000, dimension)) * spread[axes]
    shares = fixed.dirichlet(np.full(3000, 0.5))
    for start in range(0, rows, 50_000):
        count = min(50_000, rows - start)
        noise = random.standard_normal((count, dimension), dtype=np.float32) * spread[axes]
        part = centres[random.choice(3000, count, p=shares)].astype(np.float32) + 0.7 * noise
        yield part / np.linalg.norm(part, axis=1, keepdims=True)


def check_new(work):
    """Refuse a folder that exists: it is deleted at the end."""
    if work.exists():
        raise SystemExit(
            f"--work {work} exists, and would be deleted at the end. Name a folder that does not."
        )


def write(work, rows, dimension):
    """Write vectors, their columns, as many as 1 % more, and queries with their neighbours."""
    import pandas as pd

    work.mkdir(parents=True)
    for name, count, seed in (("base", rows, 1), ("more", max(rows // 100, 1), 2)):
        file = np.lib.format.open_memmap(work / f"{name}.npy", "w+", np.float32, (count, dimension))
        for part_number, part in enumerate(vectors(count, dimension, seed)):
            file[part_number * 50_000 :][: len(part)] = part
        file.flush()
    base, random = np.load(work / "base.npy", mmap_mode="r"), np.random.default_rng(3)
    noise = random.normal(size=(QUERIES, dimension)) * 0.5 / dimension**0.5
    queries = (base[np.sort(random.choice(rows, QUERIES, replace=False))] + noise).astype("f4")
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    right = [queries @ np.asarray(base[i : i + 50_000]).T for i in range(0, rows, 50_000)]
    tenth = np.sort(np.concatenate(right, axis=1), axis=1)[:, -10]
    np.savez(work / "queries.npz", queries=queries, tenth=tenth)
    few = np.isin(np.arange(rows), random.choice(rows, 50, replace=False))
    columns = {"url": [f"https://example.org/{i}.jpg" for i in range(rows)]}
    columns |= {"seventh": random.integers(7, size=rows).astype(str), "few": few.astype(str)}
    pd.DataFrame(columns).to_parquet(work / "table.parquet")


def cpu(call):
    """Time a call in seconds of CPU, and return its result."""
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


def resident_mb():
    """The memory that this process holds, in MB (of Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


def searched(search, queries, tenth):
    """Search for every query: recall and the median in ms. `search` returns scores."""
    times, hits = [], 0
    for query, least in zip(queries, tenth, strict=True):
        seconds, scores = cpu(lambda query=query: search(query))
        times.append(1e3 * seconds)
        hits += int((np.asarray(scores)[:10] >= least - 1e-5).sum())
    return hits / (10 * len(queries)), statistics.median(times)


def build_ours(work):
    """Import the vectors and search once, which builds the index; seconds of both."""
    from explorer.library import Library
    from explorer.library.checked_files import SETTLED_SECONDS
    from explorer.library.importing import plan
    from explorer.library.store import create_store
    from explorer.points import Space

    space = Space("growth", np.load(work / "base.npy", mmap_mode="r").shape[1], "0" * 64)
    library = Library(create_store(work / "ours", space, "float32", "growth"))
    planned = plan(work / "base.npy", space, table=work / "table.parquet")
    imported = cpu(lambda: list(library.importing_vectors(planned)))[0]
    point = library.points([0])
    seconds = cpu(lambda: library.search(point, 10))[0]
    time.sleep(SETTLED_SECONDS + 0.5)
    Library.open(work / "ours")  # reads all files against their checksums, as the first opening
    return {"build": seconds, "import": imported}


def measure_ours(work, queries, tenth):
    """Open the library, search it, and add to it."""
    from explorer.library import Library
    from explorer.library.importing import plan
    from explorer.points import Points

    def first():
        library = Library.open(work / "ours")
        return library, library.search(Points(queries[:1], library.space, "image"), 10).items

    seconds, (library, _) = cpu(first)

    def search(query, **options):
        hits = library.search(Points(query[None], library.space, "image"), 10, **options)
        assert len(hits.items) == 10  # their names are part of the answer
        return hits.scores

    told = {"open_and_first": seconds, "index": library.info()["index"]}
    told["recall"], told["warm_ms"] = searched(search, queries, tenth)
    filters = {"filter_7_ms": {"seventh": "3"}, "filter_50_ms": {"few": "true"}}
    for name, where in filters.items():
        told[name] = searched(lambda q, where=where: search(q, where=where), queries, tenth)[1]
    told["resident_mb"] = resident_mb()
    for _ in library.importing_vectors(plan(work / "more.npy", library.space)):
        pass
    told["add"] = cpu(lambda: search(queries[0]))[0]
    return told


def build_peer(work, engine):
    """Build FAISS's index and write it; seconds without reading the vectors."""
    import faiss

    base = np.load(work / "base.npy", mmap_mode="r")
    flat = engine == "Flat"
    dimension, metric = base.shape[1], faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexFlatIP(dimension) if flat else faiss.IndexHNSWFlat(dimension, 32, metric)
    seconds = 0.0
    for start in range(0, len(base), 50_000):
        part = np.ascontiguousarray(base[start : start + 50_000])
        seconds += cpu(lambda part=part: index.add(part))[0]
    faiss.write_index(index, str(work / engine))
    return {"build": seconds}


def measure_peer(work, engine, queries, tenth):
    """Read FAISS's index, search it, and add to it."""
    import faiss
    import pandas as pd

    def first():
        index = faiss.read_index(str(work / engine))
        if engine != "Flat":
            index.hnsw.efSearch = 64
        return index, index.search(queries[:1], 10)

    seconds, (index, _) = cpu(first)
    told = {"open_and_first": seconds, "index": engine}
    told["recall"], told["warm_ms"] = searched(
        lambda q: index.search(q[None], 10)[0][0], queries, tenth
    )
    table = pd.read_parquet(work / "table.parquet", columns=["seventh", "few"])
    masks = {"filter_7_ms": table["seventh"] == "3", "filter_50_ms": table["few"] == "True"}
    kind = faiss.SearchParameters if engine == "Flat" else faiss.SearchParametersHNSW
    for name, mask in masks.items():
        selector = faiss.IDSelectorBitmap(np.packbits(mask.to_numpy(), bitorder="little"))
        given = kind(sel=selector)
        told[name] = searched(
            lambda q, given=given: index.search(q[None], 10, params=given)[0][0], queries, tenth
        )[1]
    del table, masks
    told["resident_mb"] = resident_mb()
    more = np.load(work / "more.npy")
    told["add"] = cpu(lambda: (index.add(more), index.search(queries[:1], 10)))[0]
    return told


def in_one_thread(command):
    """Run a stage in a process of its own; figures by name.

    With more threads OpenMP's wait in loops, which counts as seconds of CPU.
    """
    one = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=one)
    return json.loads(done.stdout)


def stage(work, engine, step):
    """One process: build, or measure; prints JSON."""
    if step == "build":
        built = build_ours(work) if engine == "ours" else build_peer(work, engine)
        print(json.dumps(built))
        return
    with np.load(work / "queries.npz") as file:
        queries, tenth = file["queries"], file["tenth"]
    told = (
        measure_ours(work, queries, tenth)
        if engine == "ours"
        else measure_peer(work, engine, queries, tenth)
    )
    print(json.dumps(told))


def main():
    """Measure all sizes, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["1000x512", "10000x512", "100000x768"])
    parser.add_argument("--work", type=Path, required=True, help="folder that does not exist")
    parser.add_argument("--hnsw", type=int, default=100_000, help="most rows for HNSW")
    parser.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        stage(given.work, *given.stage)
        return
    check_new(given.work)
    print("| rows × dimension | index | " + " | ".join(COLUMNS) + " | resident_mb |")
    print("|" + "---|" * (len(COLUMNS) + 3))
    for size in given.sizes:
        rows, dimension = map(int, size.split("x"))
        write(given.work, rows, dimension)
        for engine in ENGINES if rows <= given.hnsw else ENGINES[:2]:
            told = {}
            for step in ("build", "measure"):
                command = [sys.executable, __file__, "--work", str(given.work), "--stage"]
                told |= in_one_thread([*command, engine, step])
            values = [f"{told[name]:.3g}" for name in COLUMNS] + [f"{told['resident_mb']:.0f}"]
            print(f"| {rows:,} × {dimension} | {engine}: {told['index']} | {' | '.join(values)} |")
            sys.stdout.flush()
        shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
