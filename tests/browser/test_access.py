"""Who cannot see well, or has no mouse: axe-core over every page, and stories of keys alone."""

from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import offered, settled

pytestmark = pytest.mark.browser
PAGES = {
    "map": "?find=cat+face",
    "search": "search?q0=cat+face&k=4",
    "diff": "diff?diff=cat+face&diff_to=dog+face&diff_frames=4",
    "walk": "walk?walk_0=cat+face&walk_1=dog+face&walk_frames=4",
    "vary": "vary?vary_kind=Library&vary_row=3&vary_do=In-painting&vary_n=1",
    "axes": "axes?axes_x0=a+sad+face&axes_x1=a+happy+face&axes_y1=an+animal",
    "features": "features?feature_of=Words&feature_words=cat,dog,sun&feature_kind=Library"
    "&feature_row=3&turn_sun=2&feature_frames=4",
    "compare": "compare?compare_n=2",
    "library": "library",
}
FOCUSED = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at.labels?.[0]?.innerText || at.getAttribute("aria-label") || at.innerText || "";
}"""


def violations(window):
    """What axe-core calls serious or critical, with where it is; what fades in is given time."""
    for _ in range(5):
        found = _violations(window)
        if not found:
            break
        window.wait_for_timeout(1000)
    return found


def _violations(window):
    found = Axe().run(window).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_every_page_is_listed_here():
    from explorer.app.main import PAGES as KNOWN

    assert set(PAGES) == set(KNOWN)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_a_serious_violation_in_the_light_and_in_the_dark(visit, page):
    for scheme in ("light", "dark"):
        window = visit(PAGES[page], color_scheme=scheme)
        window.set_default_timeout(180_000)  # the first page of a server loads the model
        settled(window)
        window.wait_for_selector("[data-testid=stProgress]", state="detached")
        settled(window)
        assert violations(window) == []
        window.close()


def tab_to(window, name, most=60):
    """Press Tab until what has this name is focused."""
    for _ in range(most):
        window.keyboard.press("Tab")
        if window.evaluate(FOCUSED).strip().startswith(name):
            return
    raise AssertionError(f"{name} was not reached by {most} tabs")


def test_keys_alone_find_an_image_and_change_it_by_words(visit):
    window = visit("search?k=4")
    settled(window)
    tab_to(window, "Look for: words")
    window.keyboard.type("cat face")
    window.keyboard.press("Enter")
    offered(window)
    tab_to(window, "Open")
    window.keyboard.press("Enter")
    dialog = window.get_by_role("dialog")
    dialog.get_by_text("Nearest others").wait_for()
    settled(window)
    window.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    window = visit("library")
    settled(window)
    tab_to(window, "Text diff")
    window.keyboard.press("Enter")
    window.get_by_role("button", name="Show an example").wait_for()
    settled(window)
    tab_to(window, "Show an example")
    window.keyboard.press("Enter")
    offered(window)
    tab_to(window, "Fraction of the")  # angle, or through the prior way
    asked = parse_qs(urlsplit(window.url).query)
    start = float(asked.get("diff_turn", ["1"])[0])
    window.keyboard.press("ArrowLeft")
    window.wait_for_function(f"location.search.includes('diff_turn={start - 0.01:.2f}')")
