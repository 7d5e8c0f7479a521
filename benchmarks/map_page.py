"""The page of `unclip map` beside plotly's, opened from the disk in one run of one Chromium.

    python benchmarks/map_page.py [--points 100000] [--repeats 3] [--keep FOLDER]

Needs Playwright, chromium and plotly (pip install plotly). Seconds run from the address to the
frame after all points are drawn, on the software renderer. Ours has 5,000 small images, captions
and two columns; plotly's has the points and their captions.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from explorer.cli.mappage import write_map
from explorer.regions.crowds import Region
from explorer.regions.kept import MapCrowds

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "browser"))

from conftest import FLAGS

GROUPS = 8
DRAWN = {"ours": "[data-points]", "plotly": ".js-plotly-plot .gl-canvas-focus"}
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Shelf:
    """Images of noise in eight groups; what a page needs of a library."""

    columns = ("caption", "group", "year")

    def __init__(self, n):
        rng = np.random.default_rng(0)
        self.group = rng.integers(0, GROUPS, n)
        spread = rng.normal(size=(n, 2)) + 6 * rng.normal(size=(GROUPS, 2))[self.group]
        self.xy = spread.astype(np.float32)
        captions = [f"a caption of image {i} in group {g}" for i, g in enumerate(self.group)]
        self.rows = pd.DataFrame({"item": [f"{i:06}.jpg" for i in range(n)], "caption": captions})
        self.rows["group"] = [f"group {g}" for g in self.group]
        self.rows["year"] = 1950 + rng.integers(0, 75, n)

    def __len__(self):
        return len(self.rows)

    def open_image(self, row):
        """Return eight by eight colours, enlarged."""
        cells = np.random.default_rng(row).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        return Image.fromarray(cells).resize((96, 96))

    def crowds(self):
        """Return the groups, with one label for each."""
        members = [np.flatnonzero(self.group == g) for g in range(GROUPS)]
        middles = [tuple(map(float, self.xy[rows].mean(axis=0))) for rows in members]
        regions = [Region(f"group {g}", middles[g], members[g], 1.0) for g in range(GROUPS)]
        return MapCrowds(members, regions)


def write_plotly(shelf, file):
    """Write the same points as plotly's page, with its script inside."""
    import plotly.graph_objects as go

    marker = {"color": shelf.group, "size": 3}
    points = go.Scattergl(x=shelf.xy[:, 0], y=shelf.xy[:, 1], mode="markers", marker=marker,
                          text=shelf.rows["caption"], hoverinfo="text")  # fmt: skip
    go.Figure(points).write_html(file, include_plotlyjs=True)


def measure(browser, name, file):
    """Seconds from the address to the frame after all points are drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(file.as_uri(), wait_until="commit")
    page.wait_for_selector(DRAWN[name], state="attached", timeout=180_000)
    page.evaluate(TWO_FRAMES)
    seconds = time.perf_counter() - began
    page.close()
    return round(seconds, 2)


def main():
    """Write both pages, open them in turn, and print a line for each."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    shelf, files = Shelf(given.points), {name: folder / f"{name}.html" for name in DRAWN}
    write_map(shelf, SimpleNamespace(xy=shelf.xy), files["ours"], crowds=shelf.crowds())
    write_plotly(shelf, files["plotly"])
    seconds = {name: [] for name in DRAWN}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for _ in range(given.repeats):
            for name, file in files.items():
                seconds[name].append(measure(browser, name, file))
        browser.close()
    for name, file in files.items():
        megabytes = round(file.stat().st_size / 1e6, 1)
        print(json.dumps({"page": name, "megabytes": megabytes, "seconds": seconds[name]}))
    if not given.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
