"""The page Compare: two models over the same images, decoders of the same points."""

import json

import numpy as np
import pytest
import streamlit as st
from app_pages import button, captions, errors, open_page
from fakes import coloured

import explorer as ex
from explorer.app.agreement import Agreement


@pytest.fixture(scope="module")
def other(emoji_images, tmp_path_factory):
    """A library of the emoji by another model, which sees colours only."""
    library = ex.Library.create(tmp_path_factory.mktemp("coloured") / "other.lib", coloured())
    library.add([emoji_images], workers=0)
    return library.folder


def cosines(page):
    """The numbers under the pairs."""
    return [float(each.value[:4]) for each in page.caption if each.value[:2] in ("0.", "1.")]


def test_the_images_stand_beside_what_is_decoded_of_them(monkeypatch, emoji):
    page = open_page(monkeypatch, "compare", emoji, compare_n="4")
    assert errors(page) == []
    assert len(captions(page)) == 2 * 4
    assert len(cosines(page)) == 4 and cosines(page) == sorted(cosines(page))


def test_a_decoder_beside_itself_does_not_differ(monkeypatch, emoji):
    page = open_page(monkeypatch, "compare", emoji, "--compare=pocket", compare_n="2")
    assert errors(page) == []
    assert len(captions(page)) == 3 * 2
    assert cosines(page) == [1.0, 1.0]


@pytest.mark.parametrize("where", ["emoji", "bare"])
def test_two_models_are_compared_image_by_image(monkeypatch, request, other, where):
    library = request.getfixturevalue(where)
    page = open_page(monkeypatch, "compare", library, f"--compare={other}")
    assert errors(page) == []
    assert [each.value for each in page.metric][:1] == ["14"]
    shares = [int(text.partition("\\%")[0]) for text in captions(page)]
    assert shares == sorted(shares)
    page = button(page, "Compare").click().run()
    assert errors(page) == [] and page.query_params["row"]
    tools = [json.loads(each.proto.json)["tools"] for each in page.get("bidi_component")]
    assert tools == [["look"], ["look"]], "the maps read no other"
    words = captions(page)
    assert any("only here" in text.replace("\\", "") for text in words)


def test_one_model_agrees_with_itself(monkeypatch, emoji, bare):
    """The two libraries hold the same vectors, under two names of one CLIP."""
    page = open_page(monkeypatch, "compare", emoji, f"--compare={bare}", row="3")
    assert errors(page) == []
    assert page.metric[1].value == "100%"
    assert not any("only here" in text for text in captions(page))


def test_with_nothing_to_compare_a_command_is_shown(monkeypatch, bare):
    page = open_page(monkeypatch, "compare", bare)
    assert errors(page) == [] and "--compare other.lib" in page.code[0].value


def test_the_nearest_are_those_of_each_model_among_the_shared_rows(emoji, other):
    here, there = ex.Library.open(emoji), ex.Library.open(other)
    rows = np.array([9, 2, 5, 0])
    agreed = Agreement(rows, rows, np.zeros(4), 4)
    ours, theirs = agreed.near(1, here, there, 2)
    for library, found in ((here, ours), (there, theirs)):
        hits = library.search(library.points([2]), 14, exclude=[2])
        assert rows[found].tolist() == [int(r) for r in hits.rows if r in (9, 5, 0)][:2]
    for near in agreed.near(1, here, there, 8):
        assert sorted(near.tolist()) == [0, 2, 3], "an image is none of its own neighbours"


def test_a_sample_of_many_is_said_to_be_one(monkeypatch, emoji, bare):
    monkeypatch.setattr("explorer.app.agreement.MAX_ROWS", 9)
    st.cache_resource.clear()
    page = open_page(monkeypatch, "compare", emoji, f"--compare={bare}")
    st.cache_resource.clear()
    assert errors(page) == [] and page.metric[0].value == "14"
    assert any("9 of them are compared: a sample" in each.value for each in page.caption)
