"""The map's component in a real browser: what the hand does, and what is sent."""

from pathlib import Path

import pytest
from conftest import serving, settled

pytestmark = pytest.mark.browser
PAGE = Path(__file__).parent / "scatter_page.py"


@pytest.fixture(scope="module")
def address():
    with serving(PAGE, 20_000) as address:
        yield address


@pytest.fixture
def window(open_window, address):
    page = open_window()
    page.goto(address)
    page.wait_for_selector("[data-points='20000']")
    settled(page)
    return page


def middle(window):
    box = window.locator(".um-canvas").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def draw(window, tool, *places):
    """Draw a line through places, in pixels from the middle of the map."""
    window.get_by_role("button", name=tool, exact=True).click()
    x, y = middle(window)
    window.mouse.move(x + places[0][0], y + places[0][1])
    window.mouse.down()
    for dx, dy in places[1:]:
        window.mouse.move(x + dx, y + dy, steps=8)
    window.mouse.up()


def test_a_rerun_sends_no_points_again(window):
    asked = []
    window.on("request", lambda request: asked.append(request.url))
    window.get_by_role("button", name="Again").click()
    settled(window)
    assert [url for url in asked if "/media/" in url] == []


def test_other_colours_fetch_the_colours_alone(window):
    asked = []
    window.on("request", lambda request: asked.append(request.url))
    window.locator("label", has_text="Colour by distance").click()
    window.wait_for_selector(".um-bars")
    settled(window)
    assert len([url for url in asked if "/media/" in url]) == 1


def test_a_click_on_empty_map_is_a_place(window):
    box = window.locator(".um-canvas").bounding_box()
    window.mouse.click(box["x"] + 4, box["y"] + 4)
    window.get_by_text("click row=None places=1").wait_for()


def places_of(window, *rows):
    """Where rows are in the window."""
    return [
        tuple(window.evaluate("(row) => document.querySelector('.unclip-map').where(row)", row))
        for row in rows
    ]


def lonely(count):
    """Rows of the test map that stand farthest from their neighbours."""
    import numpy as np
    from scipy.spatial import KDTree

    rng = np.random.default_rng(0)
    group = rng.integers(0, 8, 20_000)
    xy = (rng.normal(size=(20_000, 2)) + 6 * rng.normal(size=(8, 2))[group]).astype(np.float32)
    return KDTree(xy).query(xy, k=[2])[0][:, 0].argsort()[::-1][:count].tolist()


def test_the_point_under_the_pointer_answers_though_nothing_was_hovered(window):
    """Once the point that was hovered before answered; Chromium is told of no move here."""
    mouse = window.context.new_cdp_session(window)
    rows = lonely(4)
    for row, (x, y) in zip(rows, places_of(window, *rows), strict=True):
        for kind in ("mousePressed", "mouseReleased"):
            at = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            mouse.send("Input.dispatchMouseEvent", at)
        window.get_by_text(f"click row={row} places=1").wait_for(timeout=10_000)


def test_every_tap_of_a_finger_is_answered_by_its_own_point(open_window, address):
    page = open_window(390, 800, has_touch=True, is_mobile=True)
    page.goto(address)
    page.wait_for_selector("[data-points]")
    settled(page)
    rows = lonely(4)
    for row, (x, y) in zip(rows, places_of(page, *rows), strict=True):
        page.touchscreen.tap(x + 3, y - 3)
        page.get_by_text(f"click row={row} places=1").wait_for(timeout=10_000)


def test_a_click_comes_back_to_where_it_was_made(window):
    box = window.locator(".um-canvas").bounding_box()
    window.mouse.click(box["x"] + 40, box["y"] + 30)
    ring = window.locator(".um-place").bounding_box()
    assert ring["x"] + ring["width"] / 2 == pytest.approx(box["x"] + 40, abs=2)
    assert ring["y"] + ring["height"] / 2 == pytest.approx(box["y"] + 30, abs=2)


def test_a_lasso_and_a_path_are_reported_and_stay(window, keep):
    draw(window, "Lasso", (-150, -100), (150, -120), (170, 110), (-140, 120))
    window.get_by_text("lasso row=None").wait_for()
    draw(window, "Path", (-200, 0), (0, -80), (200, 40))
    window.get_by_text("path row=None places=3").wait_for()
    assert window.locator("polygon.um-border").count() == 1
    assert window.locator("polyline.um-path").count() == 1
    keep(window, "scatter")


def test_moving_and_zooming_keep_places_under_the_pointer(window):
    box = window.locator(".um-canvas").bounding_box()
    x, y = middle(window)
    window.mouse.click(box["x"] + 40, box["y"] + 30)
    before = window.locator(".um-place").bounding_box()
    window.mouse.move(x, y)
    window.mouse.down()
    window.mouse.move(x + 60, y + 40, steps=6)
    window.mouse.up()
    settled(window)
    after = window.locator(".um-place").bounding_box()
    assert after["x"] - before["x"] == pytest.approx(60, abs=3)
    assert after["y"] - before["y"] == pytest.approx(40, abs=3)
    window.mouse.move(after["x"] + after["width"] / 2, after["y"] + after["height"] / 2)
    window.mouse.wheel(0, -200)
    settled(window)
    zoomed = window.locator(".um-place").bounding_box()
    assert zoomed["x"] == pytest.approx(after["x"], abs=4)
    assert zoomed["y"] == pytest.approx(after["y"], abs=4)


def test_the_part_that_was_looked_at_comes_back_with_the_address(window, open_window):
    window.get_by_role("button", name="Zoom in").click()
    window.get_by_role("button", name="Zoom in").click()
    window.wait_for_function("location.hash.startsWith('#view=')")
    window.wait_for_timeout(700)
    again = open_window()
    again.goto(window.url)
    again.wait_for_selector("[data-points]")
    settled(again)
    for label in window.locator(".um-label:visible").all():
        there = again.get_by_title(label.inner_text(), exact=True)
        assert there.bounding_box()["x"] == pytest.approx(label.bounding_box()["x"], abs=1)


def test_the_keyboard_moves_zooms_and_chooses(window):
    window.locator(".um-canvas").focus()
    label = window.locator(".um-label").first
    before = label.bounding_box()
    window.keyboard.press("ArrowLeft")
    settled(window)
    assert label.bounding_box()["x"] > before["x"]
    window.keyboard.press("Enter")
    window.get_by_text("click row=None places=1").wait_for()


def test_a_lasso_and_a_path_are_drawn_by_keys(window, keep):
    """Once both took a pointer."""
    canvas, said = window.locator(".um-canvas"), window.locator(".um-said")
    window.get_by_role("button", name="Lasso").focus()
    window.keyboard.press("Enter")
    canvas.focus()
    window.keyboard.press("Enter")
    assert said.inner_text() == "A lasso needs 3 corners; Space sets one"
    for keys in ("Space", "ArrowRight ArrowRight Space", "ArrowDown ArrowDown Space"):
        for key in keys.split():
            window.keyboard.press(key)
    assert said.inner_text().startswith("Corner 3 set")
    keep(window, "scatter-keys")
    window.keyboard.press("Enter")
    window.get_by_text("lasso row=None places=3").wait_for()
    window.get_by_role("button", name="Path", exact=True).click()
    canvas.focus()
    window.keyboard.press("Space")
    window.keyboard.press("ArrowUp")
    window.keyboard.press("Space")
    window.keyboard.press("Enter")
    window.get_by_text("path row=None places=2").wait_for()
    window.get_by_role("button", name="Lasso").click()
    canvas.focus()
    window.keyboard.press("Escape")
    assert window.locator("[data-mode=look][aria-pressed=true]").count() == 1


def test_a_finger_moves_the_map(open_window, address):
    page = open_window(390, 800, has_touch=True, is_mobile=True)
    page.goto(address)
    page.wait_for_selector("[data-points]")
    settled(page)
    label = page.locator(".um-label:visible").first
    before = label.bounding_box()
    touch = page.context.new_cdp_session(page)
    x, y = middle(page)

    def send(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    send("touchStart", {"x": x, "y": y})
    for step in range(1, 6):
        send("touchMove", {"x": x + 6 * step, "y": y + 8 * step})
    send("touchEnd")
    settled(page)
    after = label.bounding_box()
    assert after["y"] - before["y"] == pytest.approx(40, abs=15)
