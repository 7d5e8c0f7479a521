"""The page that `unclip map` writes, opened from the disk in a real browser."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer.cli.mappage import write_map
from explorer.regions.crowds import Region, crowds
from explorer.regions.kept import MapCrowds

pytestmark = pytest.mark.browser
BOXES = """(names) => [...document.querySelectorAll(names)]
  .filter((each) => each.checkVisibility()).map((each) => [each, each.getBoundingClientRect()])
  .map(([each, b]) => [each.textContent, b.left, b.top, b.right, b.bottom])"""
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
DRAWN = "Number(document.querySelector('.um-pictures').dataset.images) > {}"


class Shelf:
    """Four hundred grey images in a square, and forty regions that crowd in it."""

    columns = ("style", "year")
    rows = pd.DataFrame({"item": [f"{i}.png" for i in range(400)], "style": ["a", "b"] * 200})
    rows["year"] = np.arange(1600, 2000)
    rows.loc[7, "item"] = HOSTILE

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
    write_map(
        Shelf(),
        SimpleNamespace(xy=xy),
        file,
        crowds=MapCrowds(crowds(xy), regions),
        warning=warning,
    )
    return file.as_uri()


def crossing(boxes):
    return [
        (a[0], b[0])
        for k, a in enumerate(boxes)
        for b in boxes[:k]
        if a[1] < b[3] and b[1] < a[3] and a[2] < b[4] and b[2] < a[4]
    ]


@pytest.fixture
def window(open_window, page):
    return opened(open_window(), page)


def opened(window, page):
    window.on("dialog", lambda dialog: pytest.fail("a text ran as a script"))
    window.goto(page)
    window.wait_for_selector("[data-points='400']")
    window.wait_for_selector(".um-label:visible")
    return window


@pytest.mark.parametrize("width", [1280, 390])
def test_no_label_covers_another_or_a_panel(open_window, page, keep, width):
    window = opened(open_window(width, 800), page)
    assert window.get_by_text("unlike those").is_visible()
    panels = window.evaluate(BOXES, "#bar, .um-bar, .um-legend")
    assert len(panels) == 3 and crossing(panels) == []
    for _ in range(4):
        boxes = window.evaluate(BOXES, ".um-label")
        assert crossing(boxes + panels) == []
        assert all(box[1] >= -1 and box[3] <= width + 1 for box in boxes)
        window.get_by_role("button", name="Zoom in").click()
        window.wait_for_timeout(300)
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    keep(window, f"map-page-{width}")


def test_labels_come_and_go_with_their_box(window):
    window.get_by_label("Labels").uncheck()
    window.wait_for_selector(".um-label", state="detached")
    window.get_by_label("Labels").check()
    window.wait_for_selector(".um-label:visible")


def test_points_are_images_cut_from_the_sheets_of_the_page(window):
    window.locator("#images").select_option("always")
    window.wait_for_function(DRAWN.format(50))
    window.locator("#images").select_option("never")
    window.wait_for_function("!(" + DRAWN.format(0) + ")")


def test_pointing_shows_the_card_and_a_hostile_name_stays_a_name(window, keep):
    window.locator("#images").select_option("never")
    window.mouse.move(*window.evaluate("document.querySelector('.unclip-map').where(7)"), steps=4)
    card = window.locator(".um-card")
    card.get_by_text("year: 1607").wait_for()
    assert HOSTILE in card.inner_text() and "style: b" in card.inner_text()
    assert (
        card.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)")
        == 64
    )
    keep(window, "map-page-card")


def test_words_light_up_what_has_them_and_enter_goes_from_one_to_the_next(window, keep):
    window.get_by_label("Find").fill("39.png b")
    window.get_by_text("4 of 400 images").wait_for()
    window.wait_for_function("document.querySelector('.unclip-map').dataset.coloured == '4'")
    for name in ("39.png", "139.png", "239.png"):
        window.keyboard.press("Enter")
        window.locator(".um-card").get_by_text(name).wait_for()
        assert window.locator("#spoken").inner_text().startswith(name)
        assert window.locator(".um-place:visible").count() == 1
    keep(window, "map-page-found")
    window.keyboard.press("Escape")
    window.wait_for_selector(".um-place", state="detached")
    window.get_by_label("Find").fill("")
    window.wait_for_function("document.querySelector('.unclip-map').dataset.coloured == '400'")


def test_a_tap_of_a_finger_shows_the_card(open_window, page):
    window = opened(open_window(390, 800, has_touch=True, is_mobile=True), page)
    window.touchscreen.tap(*window.evaluate("document.querySelector('.unclip-map').where(120)"))
    window.locator(".um-card").get_by_text(".png").wait_for()


def test_another_colour_has_its_legend(window):
    window.get_by_label("Colour").select_option("year")
    window.wait_for_selector(".um-bars")
    assert window.locator(".um-ends").inner_text().split() == ["≤", "1603", "≥", "1996"]


def test_enter_on_the_map_shows_the_image_nearest_to_the_middle(window):
    window.locator(".um-canvas").focus()
    window.keyboard.press("Enter")
    window.locator(".um-card").get_by_text(".png").wait_for()


def test_the_part_that_is_looked_at_stands_in_the_address_of_the_file(window, open_window):
    window.get_by_role("button", name="Zoom in").click()
    window.wait_for_function("location.hash.startsWith('#view=')")
    where = "document.querySelector('.unclip-map').where(9)"
    again = opened(open_window(), window.url)
    assert again.evaluate(where) == pytest.approx(window.evaluate(where), abs=1)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_few_far_images_do_not_shrink_the_first_view(open_window, tmp_path, keep, width):
    """Of the sample's map a third was empty, for sixteen clock faces."""
    rng, far = np.random.default_rng(0), [3, 5, 8]
    xy = rng.uniform(-5, 5, (400, 2)).astype(np.float32)
    xy[far, 1] += 40
    file = tmp_path / "far.html"
    known = MapCrowds(crowds(xy), [Region("some", (0, 0), [1])])
    write_map(Shelf(), SimpleNamespace(xy=xy), file, crowds=known)
    window = opened(open_window(width, 800), file.as_uri())
    tops = "(rows) => rows.map((row) => document.querySelector('.unclip-map').where(row)[1])"
    note = window.get_by_text("3 images lie far from the rest; All shows them.")
    assert note.is_visible() and max(window.evaluate(tops, far)) < 0
    ys = window.evaluate(tops, [row for row in range(400) if row not in far])
    assert min(ys) > 0 and max(ys) - min(ys) > 0.4 * 800
    panels = window.evaluate(BOXES, "#bar, .um-bar, .um-legend")
    assert len(panels) == 3 and crossing(panels) == []
    assert note.evaluate("(note) => note.scrollWidth <= note.clientWidth"), "it leaves its panel"
    keep(window, f"map-page-far-{width}")
    window.get_by_role("button", name="All").click()
    note.wait_for(state="hidden")
    assert min(window.evaluate(tops, far)) > 0
    window.wait_for_function("location.hash.startsWith('#view=')")
    window.reload()
    window.wait_for_selector("[data-points='400']")
    assert min(window.evaluate(tops, far)) > 0


def test_where_there_is_no_webgl_a_sentence_says_so(open_window, page):
    window = open_window()
    window.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "  return kind.includes('webgl') ? null : get.call(this, kind, ...more); };"
    )
    window.goto(page)
    said = window.get_by_text("it needs WebGL, which this browser has turned off or lacks.")
    said.wait_for()
    top = """(said) => {
      const words = document.createRange();
      words.selectNodeContents(said);
      return words.getBoundingClientRect().top;
    }"""
    bar = window.locator("#bar").bounding_box()
    assert said.evaluate(top) > bar["y"] + bar["height"], "the panel covers it"
