"""The dashboard's map beside plotly's, in one run of one Chromium: how long until points are seen.

    python benchmarks/map_browser.py [--points 100000 1000000] [--repeats 3] [--out FILE.json]

Needs Playwright, chromium and plotly (pip install plotly). Each page is opened afresh, on the
software renderer; seconds run from the request to the frame after all points are drawn. Bytes are
those of the WebSocket, and of places and colours fetched beside it; "again" is one rerun.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "browser"))

from conftest import FLAGS, serving, settled  # noqa: E402

OURS = HERE.parent / "tests" / "browser" / "scatter_page.py"
PLOTLY = HERE / "plotly_page.py"
DRAWN = {
    "ours": "() => document.querySelector('[data-points]')",
    "plotly": "() => document.querySelector('.js-plotly-plot .gl-canvas-focus')",
}
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def measure(browser, name, address):
    """Seconds until drawn, and what was sent for it and again by a rerun."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    sent = {"socket": 0, "fetched": 0}

    def count_frame(frame):
        sent["socket"] += len(frame)

    def count_answer(answer):
        if "/media/" in answer.url and not answer.url.endswith((".js", ".woff2")):
            sent["fetched"] += len(answer.body())

    page.on("websocket", lambda socket: socket.on("framereceived", count_frame))
    page.on("response", count_answer)
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_function(DRAWN[name], timeout=180_000)
    page.evaluate(TWO_FRAMES)
    seconds = time.perf_counter() - began
    settled(page)
    first = dict(sent)
    page.get_by_role("button", name="Again").click()
    settled(page)
    page.wait_for_timeout(2000)
    again = {key: sent[key] - first[key] for key in sent}
    page.close()
    return {"seconds": round(seconds, 2), "first": first, "again": again}


def main():
    """Open both pages in turn, and print the table."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for n in given.points:
            with serving(OURS, n) as ours, serving(PLOTLY, n) as plotly:
                for turn in range(given.repeats):
                    for name, address in (("ours", ours), ("plotly", plotly)):
                        found = measure(browser, name, address)
                        rows.append({"map": name, "points": n, "turn": turn, **found})
                        print(json.dumps(rows[-1]), flush=True)
        browser.close()
    for n in given.points:
        for name in DRAWN:
            times = [row["seconds"] for row in rows if row["map"] == name and row["points"] == n]
            print(f"{n:>9,} points  {name:<7} {min(times):6.1f} to {max(times):.1f} s")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
