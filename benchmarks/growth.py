"""What grows with a library: import, build, opening, searches, map and memory, as a curve.

    python benchmarks/growth.py [--sizes 1000x512 10000x512 100000x512] [--maps 1000 10000]
        [--work FOLDER] [--docs docs]

Writes growth.json and growth.svg into --docs; sizes that are not run keep their figures, and with
none the picture is drawn again. Vectors
and queries are those of search_growth.py, the points of maps those of map_speed.py. Seconds are of
CPU in one thread, each step in a process of its own. --work takes three times N × D × 4 bytes.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import map_speed
import search_growth

HERE = Path(__file__).parent
PANELS = {
    "seconds": {
        "import": "import of vectors",
        "build": "build of the index",
        "open_and_first": "open and first answer",
        "add": "1 % more and a search",
        "map": "map",
    },
    "milliseconds of a query": {
        "warm_ms": "all rows",
        "filter_7_ms": "a seventh of them",
        "filter_50_ms": "fifty of them",
    },
    "megabytes in memory": {"resident_mb": "library, open and searched", "map_mb": "map, peak"},
}


def searches(size, work):
    """Build a library of this size in `work`, unless it is there, and measure it."""
    command = [sys.executable, search_growth.__file__, "--work", str(work), "--stage", "ours"]
    told = work / "built.json"
    if not told.exists():
        shutil.rmtree(work, ignore_errors=True)
        search_growth.write(work, *map(int, size.split("x")))
        told.write_text(json.dumps(search_growth.in_one_thread([*command, "build"])))
    return json.loads(told.read_text()) | search_growth.in_one_thread([*command, "measure"])


def mapped(points):
    """Lay out a map of this many points."""
    found = map_speed.measured("ours", "mixture", points, None)
    return {"map": found["processor"], "map_mb": found["peak_mb"]}


def plot(found, file):
    """Draw every figure over the number of rows, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure((11, 3.6), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(1, 3), PANELS.items(), strict=True):
        for name, label in lines.items():
            known = sorted(
                (int(size.partition("x")[0]), told[name])
                for size, told in found.items()
                if told.get(name)
            )
            axes.plot(*zip(*known, strict=True), "o-", label=label) if known else None
        axes.set(xscale="log", yscale="log", xlabel="rows", title=title)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.savefig(file, metadata={"Date": None})


def main():
    """Run the sizes that were asked for, and write all that are known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", default=["1000x512", "10000x512", "100000x512"])
    parser.add_argument("--maps", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument("--work", type=Path, help="where data are written, and kept")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs")
    given = parser.parse_args()
    file = given.docs / "growth.json"
    found = json.loads(file.read_text()) if file.exists() else {}

    def known(size, told):
        found[size] = found.get(size, {}) | told
        print(size, json.dumps(told), flush=True)
        ordered = sorted(found.items(), key=lambda item: int(item[0].partition("x")[0]))
        file.write_text(json.dumps(dict(ordered), indent=1) + "\n")
        plot(found, given.docs / "growth.svg")

    plot(found, given.docs / "growth.svg")
    for size in given.sizes:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            known(size, searches(size, (given.work or Path(folder)) / size))
    for points in given.maps:
        known(f"{points}x{map_speed.DIMENSION}", mapped(points))


if __name__ == "__main__":
    main()
