"""The stories of the pages Search and Library."""

import re

import pytest
from conftest import offered, settled

pytestmark = pytest.mark.browser


def test_words_are_looked_for_decoded_and_followed(visit, open_window, keep):
    window = visit("search")
    window.get_by_label("Look for: words").fill("cat face")
    window.keyboard.press("Enter")
    window.wait_for_function("location.search.includes('q0=cat')")
    offered(window)
    first = window.get_by_role("button", name="More like this").first
    first.wait_for()
    window.get_by_text("Decode this query").click()
    window.get_by_role("button", name="Download PNG").first.wait_for(timeout=120_000)
    keep(window, "search")
    again = open_window()
    again.goto(window.url)
    again.get_by_role("button", name="Download PNG").first.wait_for(timeout=120_000)
    first.click()
    window.wait_for_function("!location.search.includes('q0=cat')")
    offered(window)
    assert window.get_by_role("button", name="More like this").count() == 12


def test_a_minus_is_typed_and_an_image_is_opened_by_keys(visit, open_window, keep):
    """The keyboard alone: words, an image, its neighbours, and the address that reopens it."""
    window = visit("search?k=4")
    window.get_by_label("Look for: words").focus()
    window.keyboard.type("cat face - red heart")
    window.keyboard.press("Enter")
    offered(window)
    window.get_by_role("button", name="Open").first.focus()
    window.keyboard.press("Enter")
    window.get_by_role("dialog").get_by_text("Nearest others").wait_for()
    settled(window)
    keep(window, "search-opened")
    again = open_window()
    again.goto(window.url)
    again.get_by_role("dialog").get_by_text("Nearest others").wait_for()
    window.keyboard.press("Escape")
    window.get_by_role("dialog").wait_for(state="detached")
    window.wait_for_function("!location.search.includes('open=')")
    window.get_by_role("button", name="Next").focus()
    window.keyboard.press("Enter")
    window.wait_for_function("location.search.includes('page=2')")


def test_the_address_reopens_what_more_like_this_and_examples_show(visit, open_window):
    window = visit("walk?walk_frames=4")
    window.get_by_role("button", name="Show an example").click()
    offered(window)
    assert all(re.search(f"{key}(_row)?=", window.url) for key in ("walk_0", "walk_1"))
    window = visit("search?q0=cat&q1=dog&k=4")
    window.get_by_role("button", name="More like this").first.click()
    window.wait_for_function("location.search.includes('q0_row=')")
    offered(window)
    shown = window.locator("[data-testid=stImage]").all_inner_texts()
    again = open_window()
    again.goto(window.url)
    offered(again)
    assert again.locator("[data-testid=stImage]").all_inner_texts() == shown
    assert "q1=" not in window.url


def typed(window):
    return window.get_by_label("Look for: words").input_value()


def test_back_brings_each_view_before_and_forward_the_next(visit):
    """Fields once replaced the address, so that Back left the page."""
    window = visit("search?k=4")
    for words in ("cat face", "dog face"):
        window.get_by_label("Look for: words").fill(words)
        window.keyboard.press("Enter")
        window.wait_for_function(f"location.search.includes('q0={words[:3]}')")
        offered(window)
        window.wait_for_timeout(1000)  # what one field does within a second is one step
    window.get_by_role("button", name="More like this").first.click()
    window.wait_for_function("location.search.includes('q0_row=')")
    offered(window)
    for words in ("dog face", "cat face"):
        window.go_back()
        window.wait_for_function(f"location.search.includes('q0={words[:3]}')")
        offered(window)
        assert typed(window) == words
    window.go_forward()
    window.wait_for_function("location.search.includes('q0=dog')")
    offered(window)
    assert typed(window) == "dog face"
    for _ in range(2):
        window.go_back()
        settled(window)
    assert typed(window) == "" and window.get_by_role("button", name="Open").count() == 0
    window = visit("walk?walk_frames=4")
    window.get_by_role("button", name="Show an example").click()
    offered(window)
    window.go_back()
    window.get_by_role("button", name="Show an example").wait_for()


def test_a_column_narrows_a_search_down_and_hits_are_taken_away(visit):
    window = visit("search?q0=cat+face&columns=style&is_style=flat")
    offered(window)
    with window.expect_download() as download:
        window.get_by_role("button", name="Download").first.click()
    assert download.value.suggested_filename
    window.get_by_role("button", name="Copy as command").last.click()
    window.get_by_text("--where=style=flat").first.wait_for()


PASTE = """async () => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const ink = canvas.getContext("2d");
  ink.fillStyle = "#d33";
  ink.fillRect(0, 0, 64, 64);
  const content = await new Promise((done) => canvas.toBlob(done));
  const carried = new DataTransfer();
  carried.items.add(new File([content], "pasted.png", { type: "image/png" }));
  const told = { clipboardData: carried, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new ClipboardEvent("paste", told));
}"""


def test_a_image_is_pasted(visit):
    window = visit("search?q0_kind=Upload")
    window.get_by_text("An image can be pasted as well.").wait_for()
    settled(window)
    window.evaluate(PASTE)
    window.get_by_text("pasted.png").first.wait_for()
    offered(window)
    assert window.get_by_role("button", name="More like this").count() == 12


def test_a_library_says_what_it_holds_and_is_verified(visit, keep):
    window = visit("library")
    window.get_by_text("300").first.wait_for()
    window.get_by_role("button", name="Look for new images").click()
    window.get_by_text("300 were there already").wait_for(timeout=120_000)
    window.get_by_role("button", name="Verify").click()
    window.get_by_text("All files match their checksums.").wait_for(timeout=120_000)
    settled(window)
    keep(window, "library")
