"""How soon a moved slider shows something: Variations in the dashboard, in Chromium.

    python benchmarks/previews.py [--moves 6]

Needs Playwright and chromium. Milliseconds run from the key that moves η to the first new image on
the page, a preview of four steps; the example is the page's own.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from app_server import serving  # noqa: E402

SHOWN = "() => [...document.querySelectorAll('.stMain img')].map((image) => image.src).join()"
SLIDER = "input[type=range][aria-label='Noise level η']"
SEVERAL = "() => document.querySelectorAll('.stMain img').length > 4"
BETWEEN = 4  # seconds, in which the images are decoded as they were asked for


def library(folder: Path) -> Path:
    """The sample drawings, indexed with pocket and mapped."""
    import explorer as ex
    from explorer.models.pocket import FOLDER

    made = ex.Library.create(folder / "a.lib", ex.load("pocket", device="cpu"))
    made.add([FOLDER.parent.parent / "sample" / "images" / "flat"])
    return made.folder


def moves(page, count: int) -> list[float]:
    """Move the slider so often; milliseconds until something new is seen."""
    slider, taken = page.locator(SLIDER), []
    for _ in range(count + 1):  # the first one imports
        time.sleep(BETWEEN)
        before, began = page.evaluate(SHOWN), time.perf_counter()
        slider.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"(before) => ({SHOWN})() !== before", arg=before, polling=10)
        taken.append(1000 * (time.perf_counter() - began))
    return taken[1:]


def main() -> None:
    """Open the page, move its slider, and print what it took."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        folder = Path(work)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with serving(library(folder), folder) as server:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{server.address}/vary")
            page.get_by_role("button", name="Show an example").click(timeout=120_000)
            page.locator(SLIDER).wait_for(state="attached", timeout=120_000)
            page.wait_for_function(SEVERAL, timeout=120_000)
            taken = moves(page, given.moves)
        browser.close()
    print(f"{median(taken):.0f} ms ({min(taken):.0f} to {max(taken):.0f})")


if __name__ == "__main__":
    main()
