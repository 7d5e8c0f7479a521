"""Maps of many points: ours beside umap-learn's defaults, in turn, each in a fresh process.

    python benchmarks/map_speed.py [--points 20000 100000] [--data mixture pocket] [--rounds 3]
        [--peer-most 100000] [--pictures FOLDER]

"mixture" is 300 clusters in 20 groups around a common mean, as embeddings of a CLIP lie; "pocket"
is the points of the sample library, repeated with noise. Seconds begin before the import of what
makes the map and end with its coordinates; processor seconds are told too, as a busy machine
stretches the others. Trustworthiness (k = 15) and the share of the 15 nearest on the map that are
among the true 15 are of 500 points among all. Growth is of one point more in a hundred.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

DIMENSION = 512
K = 15
JUDGED = 500
CALLS = 200  # of transform and inverse, of which the median is given
BLOCK = 20_000  # points that are made at once
FIELDS = ("seconds", "processor", "peak_mb", "trustworthiness", "kept")


def mixture(n: int) -> np.ndarray:
    """Draw points of clusters, each of 8 strong directions and noise."""
    rng, clusters = np.random.default_rng(0), 300
    groups = rng.standard_normal((20, DIMENSION), np.float32)
    centres = 2 * rng.standard_normal(DIMENSION, np.float32) + groups[np.arange(clusters) % 20]
    centres += 0.7 * rng.standard_normal((clusters, DIMENSION), np.float32)
    axes = 0.35 * rng.standard_normal((clusters, 8, DIMENSION), np.float32)
    cluster = rng.choice(clusters, n, p=rng.dirichlet(np.full(clusters, 2.0)))
    points = 0.25 * rng.standard_normal((n, DIMENSION), np.float32)
    for which in range(clusters):
        rows = np.flatnonzero(cluster == which)
        weights = rng.standard_normal((len(rows), 8), np.float32)
        points[rows] += centres[which] + weights @ axes[which]
    return points


def pocket(n: int) -> np.ndarray:
    """Repeat the points of the sample library with noise of half their spread."""
    from explorer.samples import sample_library

    drawn = sample_library().points().vectors
    rng = np.random.default_rng(0)
    points = 0.5 * float(drawn.std(axis=0).mean()) * rng.standard_normal((n, drawn.shape[1]))
    return (points + drawn[np.arange(n) % len(drawn)]).astype(np.float32)


def judged(points: np.ndarray, xy: np.ndarray) -> tuple[float, float]:
    """Return trustworthiness and the share of neighbours kept, of some points among all."""
    from scipy.spatial import KDTree

    n, norms = len(points), np.linalg.norm(points, axis=1)
    rows = np.random.default_rng(1).choice(n, min(JUDGED, n), replace=False)
    near = KDTree(xy).query(xy[rows], k=K + 1)[1]
    ranks = []
    for row, others in zip(rows, near, strict=True):
        likeness = points @ (points[row] / norms[row]) / norms
        likeness[row] = -2
        mine = [other for other in others if other != row][:K]
        ranks.append([1 + int((likeness > likeness[other]).sum()) for other in mine])
    excess = np.maximum(np.array(ranks) - K, 0)
    kept = float((excess == 0).mean())
    return 1 - 2 * float(excess.mean()) / (2 * n - 3 * K - 1), kept


def growth(points: np.ndarray, folder: str) -> dict[str, Any]:
    """Lay out 100 of 101 points, and time the others: all together, and one at a time."""
    from explorer.points import Points, Space
    from explorer.projection import Projection

    space = Space("made", points.shape[1], "0f")
    old = Points(points[: len(points) * 100 // 101], space, "image")
    both = Points(points, space, "image")
    before = Projection.cached(folder, old)
    began, processor = time.perf_counter(), time.process_time()
    after = Projection.cached(folder, both)
    result: dict[str, Any] = {
        "grow_seconds": time.perf_counter() - began,
        "grow_processor": time.process_time() - processor,
        "stayed": bool(np.array_equal(after.xy[: len(old)], before.xy)),
        "drift": after.drift(),
    }
    one, place = both[len(both) - 1], after.xy[:1] + 0.01
    for name, call in (
        ("transform", lambda: after.transform(one)),
        ("inverse", lambda: after.inverse(place)),
    ):
        call()
        result[f"{name}_ms"] = 1000 * statistics.median(_seconds(call) for _ in range(CALLS))
    return result


def _seconds(call: Any) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def ours(points: np.ndarray) -> np.ndarray:
    """Fit our map."""
    from explorer.points import Points, Space
    from explorer.projection import Projection

    return Projection.fit(Points(points, Space("made", points.shape[1], "0f"), "image")).xy


def peer(points: np.ndarray) -> np.ndarray:
    """Fit umap-learn's, at its defaults but for the metric."""
    import umap

    return np.asarray(umap.UMAP(metric="cosine").fit_transform(points))


def child(given: argparse.Namespace) -> None:
    """Run one work in this process and print its figures as JSON."""
    points = {"mixture": mixture, "pocket": pocket}[given.data[0]](given.points[0])
    points.flags.writeable = False
    if given.work == "growth":
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(growth(points, folder)))
        return
    began, processor = time.perf_counter(), time.process_time()
    xy = {"ours": ours, "umap": peer}[given.work](points)
    found = {"seconds": time.perf_counter() - began, "processor": time.process_time() - processor}
    found["peak_mb"] = peak_mb()
    found["trustworthiness"], found["kept"] = judged(points, xy)
    if given.pictures:
        _draw(xy, Path(given.pictures) / f"{given.data[0]}-{len(points)}-{given.work}.png")
    print(json.dumps(found))


def peak_mb() -> float:
    """Return the most that this process has held in memory.

    `ru_maxrss` would be that of whoever started it, if that held more.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def _draw(xy: np.ndarray, file: Path) -> None:
    from matplotlib.figure import Figure

    file.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure((9, 9), dpi=100)
    figure.add_axes((0, 0, 1, 1)).scatter(
        xy[:, 0], xy[:, 1], s=max(0.05, 2e4 / len(xy)), linewidths=0
    )
    figure.savefig(file)


def measured(work: str, data: str, points: int, pictures: str | None) -> dict[str, Any]:
    """Run one work in a fresh process."""
    command = [sys.executable, __file__, "--work", work, "--data", data, "--points", str(points)]
    command += ["--pictures", pictures] if pictures else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(data: str, points: int, given: argparse.Namespace) -> None:
    """Run both in turn and print a line of JSON for each, the ratios and the growth."""
    works = ["ours", "umap"] if points <= given.peer_most else ["ours"]
    rounds = [
        {work: measured(work, data, points, given.pictures) for work in works}
        for _ in range(given.rounds)
    ]
    for work in works:
        middle = {f: statistics.median(each[work][f] for each in rounds) for f in FIELDS}
        print(json.dumps({"data": data, "points": points, "work": work, **middle}), flush=True)
    if len(works) == 2:
        ratios = {
            f"{field}_ratio": statistics.median(r["ours"][field] / r["umap"][field] for r in rounds)
            for field in ("seconds", "processor", "peak_mb")
        }
        print(json.dumps({"data": data, "points": points, **ratios}), flush=True)
    grown = measured("growth", data, points, None)
    print(json.dumps({"data": data, "points": points, "work": "growth", **grown}), flush=True)


def main() -> None:
    """Print the figures as lines of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--data", nargs="+", choices=["mixture", "pocket"], default=["mixture"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-most", type=int, default=100_000, help="points that umap is given")
    parser.add_argument("--pictures", help="folder for a PNG of every map")
    parser.add_argument("--work", choices=["ours", "umap", "growth"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        child(given)
        return
    for data in given.data:
        for points in given.points:
            compare(data, points, given)


if __name__ == "__main__":
    main()
