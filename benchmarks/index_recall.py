"""What an approximate index says it finds, and what fresh queries of each kind find, by seed.

    python benchmarks/index_recall.py --sizes 66000x256 100000x768 --code before=DIR now=.

Vectors as in search_growth.py. Fresh queries are none of the build's: rows with noise of half their
length ("image"), points between two rows ("between"), and mixtures with noise in all directions
("words"); each asked of all rows, and of every seventh ("/7"). Every build is a process of one
thread, the codes in turn; seconds and milliseconds are of CPU. `said` is the recall that
`unclip info` shows; "lowest" that of the worst kind of fresh query.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from search_growth import vectors

KINDS = ("image", "between", "words")


def units(array):
    """Bring vectors to length 1."""
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def write(work, rows, dimension, count):
    """Write rows, fresh queries, and the score of each one's tenth neighbour."""
    base, random = np.concatenate(list(vectors(rows, dimension, 1))), np.random.default_rng(77)
    a, b, c = (base[random.choice(rows, count, replace=False)] for _ in range(3))
    noise = units(random.standard_normal(a.shape))
    words = 0.5 * a + 0.4 * b + 0.4 * c - 1.3 * base.mean(axis=0) + 0.8 * noise
    told = dict(zip(KINDS, (units(a + 0.5 * noise), units(a + b), units(words)), strict=True))
    for kind in KINDS:
        scores = told[kind] @ base.T
        for name, some in ((kind, scores), (f"{kind}/7", scores[:, 3::7])):
            told[f"tenth {name}"] = np.partition(some, -10, axis=1)[:, -10]
    np.save(work / "base.npy", base)
    np.savez(work / "fresh.npz", **told)


class InMemory:
    """Unit vectors as an index reads them."""

    def __init__(self, base):
        self.base, self.dimension = base, base.shape[1]

    def __len__(self):
        return len(self.base)

    def units(self, rows):
        return self.base[rows]


def measure(work, seed):
    """Build an index and ask it: what it says, finds and takes."""
    from explorer.index.approximate import build

    base, fresh = np.load(work / "base.npy"), np.load(work / "fresh.npz")
    build(InMemory(base[:2000]))  # imports are no part of the time
    began = time.process_time()
    index = build(InMemory(base), seed)
    told = {"build": time.process_time() - began, "said": index.recall, "found": {}}
    seventh = np.arange(len(base)) % 7 == 3
    seventh.setflags(write=False)
    for sign, allowed in (("", None), ("/7", seventh)):
        index.search(fresh["image"][:1], 10, allowed)
        began = time.process_time()
        for kind in KINDS:
            scores = [index.search(query[None], 10, allowed)[0][0] for query in fresh[kind]]
            right = np.stack(scores) >= fresh[f"tenth {kind}{sign}"][:, None] - 1e-5
            told["found"][kind + sign] = float(right.mean())
        seconds = time.process_time() - began
        told[f"ms{sign}"] = 1e3 * seconds / (len(KINDS) * len(fresh["image"]))
    return told


def compare(work, size, given):
    """Print a row for each code and seed, and one of each code's means."""
    write(work, *map(int, size.split("x")), given.queries)
    rows = {name: [] for name, _, _ in (code.partition("=") for code in given.code)}
    for seed in range(given.seeds):
        for name, _, folder in (code.partition("=") for code in given.code):
            env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(folder).resolve())}
            command = [sys.executable, __file__, "--stage", str(work), str(seed)]
            done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
            told = json.loads(done.stdout)
            found = told.pop("found")
            rows[name].append([*told.values(), min(found.values()), *found.values()])
            print_row(size, name, seed, rows[name][-1])
    for name, values in rows.items():
        print_row(size, name, "mean", np.mean(values, axis=0))
        low = sum(row[4] < 0.99 for row in values)
        print(f"{name}: fresh queries of the worst kind below 0.99 in {low} of {len(values)}")


def print_row(size, name, seed, values):
    """Print one row: build in s, said, ms, filtered ms, and what was found."""
    build, said, query, filtered, *found = values
    figures = [f"{build:.2f}", f"{said:.4f}", *(f"{value:.4f}" for value in found)]
    print(f"| {size} | {name} | {seed} | {' | '.join(figures)} | {query:.2f} | {filtered:.2f} |")
    sys.stdout.flush()


def main():
    """Measure all sizes, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["66000x256"])
    parser.add_argument("--code", nargs="+", default=["now=."], help="NAME=FOLDER of a checkout")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--queries", type=int, default=200, help="fresh ones of each kind")
    parser.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(measure(Path(given.stage[0]), int(given.stage[1]))))
        return
    kinds = [*KINDS, *(f"{kind}/7" for kind in KINDS)]
    print("| size | code | seed | build, s | said | lowest | " + " | ".join(kinds), end="")
    print(" | ms a query | filtered |\n|" + "---|" * (8 + len(kinds)))
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as work:
            compare(Path(work), size, given)


if __name__ == "__main__":
    main()
