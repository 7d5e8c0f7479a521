"""Make the pictures of the documents: `python docs/generate/pictures.py [NAME …]`.

Of the sample library with pocket, through the command and the dashboard in Chromium. Run it when
pocket's weights or the pages have changed, and look at what it wrote.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image

import explorer as ex
from explorer.samples import Example, sample_edits

DOCS = Path(__file__).parent.parent
FLAGS = ("--no-sandbox", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
SHOWN = ("cow face", "pig face")  # the text diff, if it is an example; else the first that is
WAIT = 300_000  # ms
LOADED = "[...document.images].filter((image) => image.naturalWidth > 0).length >= 6"


def example() -> Example:
    """The text diff that the documents show."""
    edits = sample_edits()
    named = [edit for edit in edits if (edit.before, edit.after) == SHOWN]
    return (named or edits)[0]


def write(image: Image.Image, name: str, folder: Path) -> None:
    """Write a picture as WebP, as its name says."""
    image.convert("RGB").save(folder / f"{name}.webp", quality=82, method=6)


def unclip(*words: object) -> None:
    """Run the command."""
    subprocess.run([sys.executable, "-m", "explorer", *map(str, words)], check=True)


def text_diff(folder: Path) -> None:
    """The strip of README: frames over their nearest images."""
    edit = example()
    way = ["--through-prior" if edit.through_prior else "--rotate"]
    way += ["--fraction", edit.fraction] if edit.fraction else []
    with tempfile.TemporaryDirectory() as work:
        out, library = Path(work, "strip.png"), ex.sample_library().folder
        words = ("--from", edit.before, "--to", edit.after, "--library", library, "-o", out)
        unclip("diff", edit.start, *words, *way)
        write(Image.open(out), "text-diff", folder)


def features(folder: Path) -> None:
    """Twelve features and what turning them gives."""
    with tempfile.TemporaryDirectory() as work:
        out = Path(work, "sheet.png")
        unclip("features", ex.sample_library().folder, "--show", 12, "--sheet", out)
        write(Image.open(out), "features", folder)


@contextmanager
def dashboard() -> Iterator[str]:
    """`unclip app` of the sample library: its address."""
    command = [sys.executable, "-m", "explorer", "app", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found, "the dashboard did not say where it is"
            yield found[0]
        finally:
            server.terminate()


def shot(name: str, size: tuple[int, int], show: Callable[[Any, str], None], folder: Path) -> None:
    """Take a picture of a page when it stands.

    Args:
        show: leads a window to what is shown, from the dashboard's address.
    """
    from playwright.sync_api import sync_playwright

    with dashboard() as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        window = chromium.new_page(viewport={"width": size[0], "height": size[1]})
        window.set_default_timeout(WAIT)
        show(window, address)
        window.wait_for_selector("[data-testid='stStatusWidget']", state="detached")
        window.wait_for_function(LOADED)
        window.wait_for_timeout(3000)  # images fade in
        taken = window.screenshot()
        chromium.close()
    write(Image.open(io.BytesIO(taken)), name, folder)


def show_map(window: Any, address: str) -> None:
    """A lasso around people."""
    window.goto(address)
    window.wait_for_selector("[data-points]")
    window.get_by_role("button", name="Lasso").click()
    box = window.locator(".um-canvas").bounding_box()
    corners = ((0.57, 0.1), (0.75, 0.1), (0.75, 0.38), (0.57, 0.38), (0.57, 0.1))
    for i, (x, y) in enumerate(corners):
        window.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if i == 0:
            window.mouse.down()
    window.mouse.up()
    window.get_by_text(re.compile(r"\d+ images? selected")).wait_for()


def show_diff(window: Any, address: str) -> None:
    """The text diff that README shows."""
    edit, library = example(), ex.sample_library()
    row = list(library.rows["item"].astype(str)).index(str(edit.start))
    asked = {"diff_kind": "Library", "diff_row": row}
    asked |= {"diff_from": edit.before, "diff_to": edit.after}
    way = {"diff_way": "Through the prior", "diff_turn": 0.8}
    asked |= way if edit.through_prior else {"diff_way": "Rotate"}
    window.goto(f"{address}/diff?{urlencode(asked)}")
    window.get_by_text("Steadiness").wait_for()


def show_compare(window: Any, address: str) -> None:
    """Images beside their decodes."""
    window.goto(f"{address}/compare")
    window.get_by_text("those that differ most come first").wait_for()


PICTURES: dict[str, Callable[[Path], None]] = {
    "text-diff": text_diff,
    "features": features,
    "dashboard-map": partial(shot, "dashboard-map", (1280, 900), show_map),
    "dashboard-diff": partial(shot, "dashboard-diff", (1280, 1060), show_diff),
    "dashboard-compare": partial(shot, "dashboard-compare", (1280, 1120), show_compare),
}


def main() -> None:
    """Read the command line and make pictures."""
    parser = argparse.ArgumentParser("python docs/generate/pictures.py", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all"
    )
    parser.add_argument("--out", type=Path, default=DOCS, help="output folder")
    given = parser.parse_args()
    for name in given.names or PICTURES:
        PICTURES[name](given.out)


if __name__ == "__main__":
    main()
