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
    window.mouse.click(*at(window, 0.02, 0.02))
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
    window.get_by_text("images in the lasso").wait_for()
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


def test_pointing_shows_a_image_and_going_near_shows_images(window, keep):
    window.mouse.move(*at(window, 0.5, 0.5))
    for _ in range(6):
        window.mouse.wheel(0, -200)
        window.wait_for_timeout(200)
    window.wait_for_selector(".um-image")
    window.wait_for_function(
        "[...document.querySelectorAll('.um-image')].every((i) => i.complete && i.naturalWidth)"
    )
    spot = window.locator(".um-image").first.bounding_box()
    window.mouse.move(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2, steps=4)
    window.wait_for_selector(".um-card:not([hidden])")
    window.wait_for_function("document.querySelector('.um-card').textContent.includes(', ')")
    keep(window, "map-images")


def test_what_lies_under_the_points_is_painted(window, keep):
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
