"""The page that `unclip map` writes, in a real browser: labels that never cover one another."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer.cli.mappage import write_map
from explorer.regions.crowds import Region

pytestmark = pytest.mark.browser
ON_SCREEN = "() => labelled.map((each) => [each.text, ...each.box])"


class Shelf:
    """Four hundred grey images in a square, and forty regions that crowd in it."""

    columns = ("style",)
    rows = pd.DataFrame({"item": [f"{i}.png" for i in range(400)], "style": ["a", "b"] * 200})

    def __len__(self):
        return 400

    def open_image(self, row):
        return Image.new("RGB", (8, 8), (row // 2, 99, 99))


@pytest.fixture
def page(tmp_path):
    rng = np.random.default_rng(0)
    xy = rng.uniform(-5, 5, (400, 2)).astype(np.float32)
    places = rng.uniform(-5, 5, (40, 2)).tolist()
    words = [f"{'a long ' * (i % 3)}region {i}" for i in range(40)]
    regions = [Region(w, (x, y), np.arange(3)) for w, (x, y) in zip(words, places, strict=True)]
    file = tmp_path / "map.html"
    warning = "These 400 images are unlike those that the model was trained on."
    write_map(Shelf(), SimpleNamespace(xy=xy), file, regions=regions, warning=warning)
    return file.as_uri()


def crossing(boxes):
    return [
        (a[0], b[0])
        for k, a in enumerate(boxes)
        for b in boxes[:k]
        if a[1] < b[3] and b[1] < a[3] and a[2] < b[4] and b[2] < a[4]
    ]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_label_covers_another_or_a_panel(open_window, page, keep, width):
    window = open_window(width, 800)
    window.goto(page)
    window.wait_for_function("labelled.length > 3")
    assert window.get_by_text("unlike those").is_visible()
    panels = [["panel", *box] for box in window.evaluate(
        "[...document.querySelectorAll('#bar, #legend')].map((e) => e.getBoundingClientRect())"
        ".map((b) => [b.left, b.top, b.right, b.bottom])"
    )]  # fmt: skip
    for _ in range(4):
        boxes = window.evaluate(ON_SCREEN)
        assert boxes and crossing(boxes + panels) == []
        assert all(box[1] >= 0 and box[3] <= width for box in boxes)
        window.get_by_role("button", name="Zoom in").click()
        window.wait_for_timeout(150)
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    keep(window, f"map-page-{width}")


def test_labels_come_and_go_with_their_box(open_window, page):
    window = open_window()
    window.goto(page)
    window.wait_for_function("labelled.length > 3")
    window.get_by_label("Labels").uncheck()
    window.wait_for_function("labelled.length === 0")
