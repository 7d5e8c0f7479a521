"""Points as images: which files pictures.js asks for, in a library of more images than are kept.

Its source runs in a page of its own, over a flat view of a square of points: no server, no map.
"""

import pytest

pytestmark = pytest.mark.browser
COUNTING = """() => { // every address is answered at once, by a grey square
  window.asked = {};
  const canvas = Object.assign(document.createElement("canvas"), { width: 512, height: 512 });
  canvas.getContext("2d").fillRect(0, 0, 512, 512);
  const square = canvas.toDataURL();
  const { set } = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  Object.defineProperty(HTMLImageElement.prototype, "src", {
    set(address) { asked[address] = (asked[address] ?? 0) + 1; set.call(this, square); },
  });
}"""
START = """async (side) => {
  const { createPictures } = await import("/source/pictures.js");
  const n = side * side, places = new Float32Array(2 * n), order = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const k = (i * 7919) % n; // rows lie about; tiles follow blocks of eight by eight places
    places.set([(k % side) + 0.5, Math.floor(k / side) + 0.5], 2 * i);
    const block = Math.floor(Math.floor(k / side) / 8) * (side / 8) + Math.floor((k % side) / 8);
    order[block * 64 + (Math.floor(k / side) % 8) * 8 + (k % 8)] = i;
  }
  const canvas = document.createElement("canvas"), px = 1600;
  let box = [0, 0, side]; // left, low, and how far it goes
  const view = {
    size: () => [px, px],
    toMap: (x, y) => [box[0] + (x / px) * box[2], box[1] + (1 - y / px) * box[2]],
    toScreen: ([x, y]) => [((x - box[0]) / box[2]) * px, (1 - (y - box[1]) / box[2]) * px],
  };
  let waiting = false;
  const draw = () => { waiting = false; pictures.draw(() => "#888"); };
  const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };
  const pictures = createPictures(canvas, view, places, () => true, redraw);
  const atlas = { sheets: "/sheets/{sheet}" };
  const data = { atlas, thumbnails: "/thumbnails/{row}", pictures: "always" };
  pictures.show(data, order);
  draw();
  window.look = (...next) => { box = next; pictures.choose(); draw(); };
  window.drawn = () => Number(canvas.dataset.images);
}"""


@pytest.fixture
def window(source_window):
    """A window with the map of START."""
    source_window.evaluate(COUNTING)
    source_window.evaluate(START, 176)  # 30,976 images on 484 sheets; 256 are kept
    return source_window


def asked(window):
    """How often each file was asked for since the last call, when no more is asked for."""
    before = -1
    for _ in range(40):
        found = window.evaluate("asked")
        if sum(found.values()) == before:
            window.evaluate("asked = {}")
            return found
        before = sum(found.values())
        window.wait_for_timeout(500)
    raise AssertionError(f"after 20 s files are still asked for, {before} by now")


def test_a_view_of_more_sheets_than_are_kept_asks_for_no_file_twice(window):
    """Once each sheet that came put out another that was in sight, which was asked for again."""
    assert set(asked(window).values()) == {1}
    assert window.evaluate("drawn()") > 500


def test_a_near_view_is_cut_from_few_sheets(window):
    asked(window)
    window.evaluate("look(16, 16, 32)")
    sheets = {f"/sheets/{22 * y + x}": 1 for x in range(2, 6) for y in range(2, 6)}
    assert asked(window) == sheets


def test_what_was_seen_last_is_kept_longest(window):
    """A view that is looked at again and again stays, whatever else was seen between."""
    asked(window)
    for far in ("16, 0, 100", "76, 76, 100"):  # 169 sheets each
        window.evaluate("look(0, 0, 16)")
        asked(window)
        window.evaluate(f"look({far})")
        asked(window)
    window.evaluate("look(0, 0, 16)")
    assert asked(window) == {}
