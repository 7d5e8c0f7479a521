"""What pages say of a point that nothing real is like; and examples chosen by that."""

import numpy as np
import pytest
from app_pages import errors, open_page
from hypothesis import given
from hypothesis import strategies as some

import explorer as ex
from explorer.app import examples, state
from explorer.app.support_words import SHOWN, TRAINED, told
from explorer.library import Library

FAR = "far from every image that the decoder was trained on"
DIFF = {"diff_kind": "Library", "diff_row": "0", "diff_frames": "4", "diff_turn": "1.0",
        "diff_noise": "one for all frames"}  # fmt: skip


@given(some.lists(some.booleans(), min_size=1, max_size=9))
def test_the_sentence_counts_what_is_far_and_names_no_place_that_is_near(far):
    times = np.linspace(0, 1, len(far))
    sentence = told(np.array(far), TRAINED, times)
    assert ("far from" in sentence.lower()) == any(far)
    if " t = " in sentence:
        first, _, last = sentence.partition("t = ")[2].partition(",")[0].partition(" to ")
        chosen = (times >= float(first) - 0.006) & (times <= float(last or first) + 0.006)
        assert chosen.tolist() == far


def test_of_a_library_the_sentence_names_the_library():
    assert told(np.array([True]), SHOWN).startswith("Far from every image of this library")


def said(page):
    return [each.value for each in [*page.warning, *page.caption]]


def test_a_point_that_only_words_aim_at_is_said_to_be_far(monkeypatch, emoji):
    """Rotated all the way to a text diff, no training image is near; the image itself has some."""
    assert not any(FAR in each for each in said(open_page(
        monkeypatch, "diff", emoji, **DIFF | {"diff_to": "a red heart", "diff_turn": "0.0"}
    )))  # fmt: skip
    page = open_page(monkeypatch, "diff", emoji, **DIFF, diff_to="a red heart")
    assert errors(page) == [] and any(FAR in each for each in said(page))


@pytest.mark.parametrize("name", ["search", "vary", "walk", "compare"])
def test_every_page_that_decodes_says_how_near_real_images_are(monkeypatch, emoji, name):
    address = {
        "search": {"q0": "cat face", "decode": "true"},
        "vary": {"vary": "cat face", "vary_n": "1", "vary_eta": "0"},
        "walk": {"walk_0": "cat face", "walk_1": "sun", "walk_frames": "4"},
        "compare": {"compare_n": "2"},
    }[name]
    page = open_page(monkeypatch, name, emoji, **address)
    assert errors(page) == []
    assert any("that the decoder was trained on" in each for each in said(page))


def test_examples_are_the_best_of_a_library_by_measure(monkeypatch, emoji, pocket):
    """Once the image was that of row 0, and the words the first that came."""
    monkeypatch.setattr("sys.argv", ["script.py", str(emoji)])
    library = Library.open(emoji)
    rows = [row for _, row in examples.phrases()]
    scores = pocket.support.score(library.points(rows))["nearest percentile"]
    monkeypatch.setattr(examples, "sample_edits", list)
    assert examples.row() == rows[int(scores.argmax())]
    words = examples.axes()
    read = {key: pocket.encoder.encode_text([text]) for key, text in words.items()}
    leads = [ex.text_diff(read[f"axes_{a}0"], read[f"axes_{a}1"]) for a in "xy"]
    along = library.points().unit @ np.concatenate([lead.unit for lead in leads]).T
    assert len(set(words.values())) == 4 and abs(np.corrcoef(along.T)[0, 1]) < 0.9
    query = examples.difference()
    if query is not None:
        point = ex.Query.parse(query).points(pocket.encoder)
        assert state.library().search(point, 1, min_score="auto").matching
