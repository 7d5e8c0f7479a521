"""The stories of the pages Search and Library."""

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
