"""The story of the page Map in a real browser, with images of it kept to be looked at."""

import pytest
from conftest import settled

pytestmark = pytest.mark.browser


@pytest.fixture
def window(open_window, dashboard):
    page = open_window()
    page.goto(dashboard)
    page.wait_for_selector("[data-points='300']", timeout=120_000)
    settled(page)
    return page


def at(window, across, down):
    """A place of the canvas, in parts of its size."""
    box = window.locator(".um-canvas").bounding_box()
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def draw(window, tool, *places):
    window.get_by_role("button", name=tool, exact=True).click()
    window.mouse.move(*at(window, *places[0]))
    window.mouse.down()
    for place in places[1:]:
        window.mouse.move(*at(window, *place), steps=10)
    window.mouse.up()


def test_a_click_on_empty_map_is_decoded_beside_its_neighbours(window, keep):
    window.mouse.click(*at(window, 0.95, 0.5))
    window.get_by_text("decoded", exact=True).wait_for()
    window.get_by_text("Nearest real images").wait_for()
    window.get_by_text("Support", exact=True).wait_for()
    assert "click=" in window.url
    keep(window, "map-place")


def test_a_drawn_path_becomes_a_video(window, keep):
    draw(window, "Path", (0.2, 0.5), (0.5, 0.3), (0.8, 0.6))
    window.locator("video").wait_for(timeout=120_000)
    assert window.evaluate("document.querySelector('video').error") is None
    assert "path=" in window.url
    keep(window, "map-path")


def test_a_lasso_gives_images_a_table_and_files(window, keep):
    draw(window, "Lasso", (0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    window.get_by_text("images selected").wait_for()
    for label, name in [("Table as CSV", "chosen.csv"), ("New library", "chosen.zip")]:
        with window.expect_download() as download:
            window.get_by_role("button", name=label).click()
        assert download.value.suggested_filename == name
    keep(window, "map-lasso")


def test_words_are_found_on_the_map_and_a_link_brings_it_all_back(window, open_window, keep):
    window.get_by_label("Find on the map").fill("a red heart")
    window.keyboard.press("Enter")
    window.wait_for_selector(".um-words")
    settled(window)
    again = open_window(color_scheme="dark")
    again.goto(window.url)
    again.wait_for_selector(".um-words")
    assert again.locator(".um-hit").count() == window.locator(".um-hit").count() == 12
    keep(again, "map-found-dark")


DRAWN = "Number(document.querySelector('.um-pictures').dataset.images) > 10"


def test_points_are_images_and_pointing_shows_one_large(window, keep):
    window.wait_for_function(DRAWN, timeout=120_000)
    window.mouse.move(*window.evaluate("document.querySelector('.unclip-map').where(5)"), steps=4)
    window.wait_for_selector(".um-card:not([hidden])")
    window.wait_for_function("document.querySelector('.um-card').textContent.includes(', ')")
    keep(window, "map-images")


def test_the_map_fills_the_window_whatever_its_size(window):
    for width, height in ((1280, 900), (1920, 1000), (700, 800)):
        window.set_viewport_size({"width": width, "height": height})
        settled(window)
        box = window.locator(".um-canvas").bounding_box()
        assert box["width"] == width and box["height"] > height - 70
        for row in range(0, 300, 29):  # all of it is in sight
            x, y = window.evaluate("(i) => document.querySelector('.unclip-map').where(i)", row)
            assert 0 < x < width and box["y"] < y < height


def coloured(window):
    return int(window.locator(".unclip-map").get_attribute("data-coloured"))


def test_the_legend_picks_groups_and_words_grey_what_does_not_match(window, keep):
    assert coloured(window) == 300
    key = window.locator(".um-key").first
    key.click()
    count = int(key.locator(".um-count").inner_text())
    window.wait_for_function(f"document.querySelector('.unclip-map').dataset.coloured == '{count}'")
    window.locator(".um-key").first.click()
    window.wait_for_function("document.querySelector('.unclip-map').dataset.coloured == '300'")
    window.get_by_label("Find on the map").fill("cat face")
    window.keyboard.press("Enter")
    window.wait_for_selector(".um-bars")
    settled(window)
    assert 0 < coloured(window) < 60
    keep(window, "map-heat")


def test_lassos_add_up_and_are_undone(window, keep):
    draw(window, "Lasso", (0.2, 0.2), (0.5, 0.2), (0.5, 0.8), (0.2, 0.8))
    window.get_by_text("images selected").wait_for()
    settled(window)
    first = coloured(window)
    window.get_by_role("radio", name="Add").or_(window.get_by_role("button", name="Add")).click()
    settled(window)
    draw(window, "Lasso", (0.5, 0.2), (0.8, 0.2), (0.8, 0.8), (0.5, 0.8))
    window.get_by_role("button", name="Undo").wait_for()
    settled(window)
    assert coloured(window) > first > 0
    window.get_by_role("button", name="Undo").click()
    settled(window)
    assert coloured(window) == first
    keep(window, "map-selection")


def test_what_lies_under_the_points_is_painted(window, keep):
    window.get_by_role("button", name="Display").click()
    window.get_by_label("Under the points").click()
    window.get_by_role("option", name="Decoded images").click()
    window.wait_for_selector(".um-ground:not([hidden])", timeout=120_000)
    keep(window, "map-mosaic")
    window.get_by_label("Under the points").click()
    window.get_by_role("option", name="Round-trip errors").click()
    window.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=120_000)
    keep(window, "map-blind")


def test_the_map_fits_a_phone(open_window, dashboard, keep):
    page = open_window(390, 844)
    page.goto(dashboard)
    page.wait_for_selector("[data-points]")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "map-phone")


def test_the_map_is_found_by_its_name_too(open_window, dashboard):
    """The first page has the empty address, and Streamlit knew no page "map"."""
    page = open_window()
    page.goto(f"{dashboard}/map?said=cat")
    page.wait_for_selector("[data-points='300']")
    assert page.get_by_text("Page not found").count() == 0
    assert page.url == f"{dashboard}/?said=cat"
