"""The stories of the pages that make images: Text diff, Walk, Variations and Concept axes."""

import pytest
from conftest import offered, settled

pytestmark = pytest.mark.browser
DIFF = "diff?diff=cat+face&diff_from=cat+face&diff_to=dog+face&diff_frames=8"
WALK = "walk?walk_0=cat+face&walk_1=dog+face&walk_frames=8"
PAINT = "vary?vary_kind=Library&vary_row=3&vary_do=In-painting&vary_n=2"
AXES = "axes?axes_x0=a+sad+face&axes_x1=a+happy+face&axes_y0=a+person&axes_y1=an+animal"
SHEET = AXES + "&axes_sheet=true"


def test_dragging_shows_previews_at_once_and_letting_go_the_exact_image(visit, keep):
    window = visit(DIFF)
    offered(window)
    keep(window, "diff")
    image, slider = window.locator(".scrub img"), window.get_by_label("Fraction of the way")
    exact, box = image.get_attribute("src"), slider.bounding_box()
    window.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    window.mouse.down()
    window.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=5)
    preview = image.get_attribute("src")
    assert preview != exact
    assert "diff_turn" not in window.url  # nothing was asked of the server yet
    window.mouse.up()
    window.wait_for_function(
        "(old) => document.querySelector('.stApp') && location.search.includes('diff_turn=0.9')",
        arg=preview,
    )
    offered(window)
    assert image.get_attribute("src") not in (preview, exact)
    keep(window, "diff-turned")


def test_the_slider_of_a_diff_moves_by_keys(visit):
    window = visit(DIFF)
    offered(window)
    window.get_by_label("Fraction of the way").press("ArrowLeft")
    window.wait_for_function("location.search.includes('diff_turn=0.99')")


def test_a_walk_is_scrubbed_and_taken_away(visit, keep):
    window = visit(WALK)
    offered(window)
    seen = set()
    for value in ("0", "0.5", "1"):
        window.locator(".scrub input").fill(value)
        seen.add(window.locator(".scrub img").get_attribute("src"))
    assert len(seen) == 3
    with window.expect_download() as download:
        window.get_by_role("button", name="Download MP4").click()
    assert download.value.suggested_filename == "walk.mp4"
    keep(window, "walk")


def test_variations_stand_beside_their_image(visit, keep):
    window = visit("vary")
    window.get_by_role("button", name="Show an example").click()
    offered(window)
    keep(window, "vary")


def test_a_mask_is_drawn_by_pointer_and_by_keys(visit, open_window, keep):
    window = visit(PAINT)
    canvas = window.locator(".brush canvas")
    canvas.scroll_into_view_if_needed()
    settled(window)
    box = canvas.bounding_box()
    window.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    window.mouse.down()
    window.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.3 * box["height"], steps=8)
    window.mouse.up()
    offered(window)
    assert "vary_mask=150" in window.url
    keep(window, "paint")
    window.get_by_role("button", name="Copy as command").click()
    window.get_by_text("unclip inpaint").wait_for()
    window.keyboard.press("Escape")
    canvas.press("ArrowDown")
    canvas.press(" ")
    window.wait_for_function("decodeURIComponent(location.search).includes(';')")
    offered(window)
    again = open_window()
    again.goto(window.url)
    offered(again)
    window.get_by_role("button", name="Clear").click()
    window.get_by_text("Draw on the image").wait_for()


def test_a_click_on_the_axes_is_decoded(visit, keep):
    window = visit(AXES)
    window.wait_for_selector("[data-points='300']", timeout=120_000)
    offered(window)
    keep(window, "axes")
    box = window.locator(".um-canvas").bounding_box()
    window.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + 0.1 * box["height"])
    window.wait_for_function("location.search.includes('axes_at=')")
    offered(window)
    window.get_by_text("Decode a grid").click()
    window.get_by_text("From left to right").wait_for(timeout=120_000)
    keep(window, "axes-sheet")


@pytest.mark.parametrize("address", [DIFF, WALK, PAINT + "&vary_mask=300:500,500", SHEET])
def test_pages_fit_a_phone_and_are_dark_where_that_is_wished(visit, keep, address):
    window = visit(address, width=390, height=844, color_scheme="dark")
    offered(window)
    keep(window, f"phone-{address.partition('?')[0]}")
    for part in ("html", "[data-testid=stMain]"):
        assert window.locator(part).evaluate("(element) => element.scrollWidth") <= 390


def test_without_a_decoder_a_path_of_real_images_is_scrubbed_and_taken_away(bare_visit, keep):
    """Slider, strip, video, table and file; no error, and nothing left to wait for."""
    window = bare_visit(WALK)
    offered(window)
    seen = set()
    for value in ("0", "0.5", "1"):
        window.locator(".scrub input").fill(value)
        seen.add(window.locator(".scrub img").get_attribute("src"))
    assert len(seen) == 3
    with window.expect_download() as download:
        window.get_by_role("button", name="Download MP4").click()
    assert download.value.suggested_filename == "walk.mp4"
    window.get_by_text("has no decoder").wait_for()
    assert window.get_by_text("Variations").count() == 0
    for sign in ("stAlertContentError", "stProgress"):
        assert window.locator(f"[data-testid={sign}]").count() == 0
    keep(window, "walk-real")
    window.get_by_role("tab", name="Table").click()
    window.locator("[data-testid=stDataFrame]").wait_for()
