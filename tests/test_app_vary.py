"""The page Variations: other images of an image, and a part of it replaced."""

import numpy as np
import pytest
from app_pages import button, captions, errors, offered, open_page, three_ways
from hypothesis import given
from hypothesis import strategies as some

from explorer.app.previews import PREVIEW_STEPS
from explorer.app.widgets.brush import MAX_STROKE_PLACES, Stroke, drawn, from_text, to_text
from explorer.decoder import Decoder
from explorer.images import save_image

IMAGE = {"vary_kind": "Library", "vary_row": "1", "vary_n": "2"}
PAINT = {**IMAGE, "vary_do": "In-painting"}
MASK = "250:250,250,750,250"
PARTS = some.integers(0, 1000).map(lambda value: value / 1000)
STROKES = some.lists(
    some.builds(Stroke, PARTS, some.lists(some.tuples(PARTS, PARTS), min_size=1).map(tuple))
)


@pytest.fixture
def vary(monkeypatch, emoji):
    return lambda **address: open_page(monkeypatch, "vary", emoji, **address)


def test_an_example_shows_variations_beside_the_image(vary):
    page = button(vary(vary_n="2"), "Show an example").click().run()
    assert errors(page) == []
    assert captions(page)[1:] == ["the image", "seed 0", "seed 1"]


def test_a_moved_slider_shows_few_steps_first_and_inverts_nothing_again(vary, monkeypatch):
    """Every step of η inverted the image again, which takes twice as long as to decode it."""
    inverted, steps, invert, decode = [], [], Decoder.invert, Decoder.decode_task
    monkeypatch.setattr(Decoder, "invert", lambda *a, **k: inverted.append(1) or invert(*a, **k))
    monkeypatch.setattr(
        Decoder, "decode_task", lambda self, t: steps.append(t.settings.steps) or decode(self, t)
    )
    page = vary(**IMAGE, vary_seed="77")
    assert (len(inverted), len(steps)) == (1, 2) and steps[0] == PREVIEW_STEPS < steps[1]
    del steps[:]
    page.slider(key="vary_eta").set_value(0.3).run()
    assert errors(page) == [] and captions(page)[-2:] == ["seed 77", "seed 78"]
    assert len(inverted) == 1 and steps[0] == PREVIEW_STEPS < steps[1]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(IMAGE, marks=pytest.mark.slow),
        {"vary": "cat face", "vary_n": "2", "vary_eta": "0", "vary_guidance": "2"},
    ],
)
def test_variations_are_the_same_downloaded_in_python_and_as_a_command(
    monkeypatch, tmp_path, emoji, query
):
    offers = offered(monkeypatch, "vary", emoji, **query, vary_seed="5")
    download, python, command = three_ways(
        monkeypatch, tmp_path, "variations.png", offers["variations.png"]
    )
    assert download == python == command


def test_in_painting_waits_for_an_image_and_then_for_a_mask(vary):
    words = vary(vary="cat face", vary_do="In-painting")
    assert "choose an image" in words.info[0].value
    page = vary(**PAINT)
    assert "Draw on the image" in page.info[0].value
    assert button(page, "Clear").disabled


def test_a_painted_part_is_the_same_downloaded_in_python_and_as_a_command(
    monkeypatch, tmp_path, emoji
):
    address = {**PAINT, "vary_mask": MASK, "vary_text": "a red heart"}
    offers = offered(monkeypatch, "vary", emoji, **address)
    mask = drawn(from_text(MASK), (64, 64))
    for way in ("python", "command"):
        (tmp_path / way).mkdir()
        save_image(mask, tmp_path / way / "mask.png")
    download, python, command = three_ways(
        monkeypatch, tmp_path, "painted.png", offers["painted.png"]
    )
    assert download == python == command


def test_clearing_the_mask_asks_for_another(vary):
    page = button(vary(**PAINT, vary_mask=MASK), "Clear").click().run()
    assert errors(page) == []
    assert "Draw on the image" in page.info[0].value


def test_the_target_caption_never_names_a_file_of_the_server(vary, emoji_images):
    page = vary(
        **PAINT, vary_mask=MASK, vary_text=str(next(emoji_images.rglob("*.txt"), "/a/b.png"))
    )
    assert errors(page) == []


@given(STROKES)
def test_strokes_come_back_from_an_address(strokes):
    total, kept = 0, []
    for stroke in strokes:
        total += len(stroke.places)
        if total <= MAX_STROKE_PLACES:
            kept.append(stroke)
    assert from_text(to_text(strokes)) == kept


@pytest.mark.parametrize(
    "text", ["1", "a:b", "100:1,2,3", "2000:0,0", "100:-1,0", "100:", ";", "9:0,1;x"]
)
def test_strokes_that_make_no_sense_are_none(text):
    assert from_text(text) == []


def test_a_stroke_is_as_wide_as_its_brush_and_round_at_its_ends():
    mask = np.asarray(drawn([Stroke(0.2, ((0.3, 0.5), (0.7, 0.5)))], (100, 100))) > 0
    assert mask[:, 50].sum() == pytest.approx(20, abs=2)
    assert mask[50].sum() == pytest.approx(60, abs=2)
    assert mask.sum() == pytest.approx(40 * 20 + np.pi * 100, rel=0.05)


def test_a_mask_fits_its_image_whatever_its_form():
    assert drawn([Stroke(0.1, ((1.0, 1.0),))], (30, 90)).getpixel((29, 89)) == 255
