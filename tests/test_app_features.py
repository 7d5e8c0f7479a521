"""The page Features: what has a slider, what turning shows, and what can be taken away."""

import numpy as np
import pytest
from app_pages import button, captions, errors, offered, open_page, three_ways

import explorer as ex
from explorer.app.featured import Featured

WORDS = {"feature_of": "Words", "feature_words": "cat face, dog face, sun, snowman, farmer"}
TURNED = {**WORDS, "feature_kind": "Library", "feature_row": "0", "turn_sun": "3",
          "feature_frames": "4", "feature_as": "PNG"}  # fmt: skip


def sliders(page):
    return [each for each in page.slider if str(each.key).startswith("turn_")]


@pytest.mark.parametrize("where", ["emoji", "bare"])
def test_the_example_turns_a_feature_with_and_without_a_decoder(monkeypatch, request, where):
    page = open_page(monkeypatch, "features", request.getfixturevalue(where), **WORDS)
    assert errors(page) == [] and not sliders(page)
    page = button(page, "Show an example").click().run()
    assert errors(page) == []
    assert [each.value for each in sliders(page)].count(3.0) == 1
    assert len(captions(page)) >= 6


def test_what_the_image_shows_has_a_slider_and_what_the_address_turns(monkeypatch, emoji):
    page = open_page(monkeypatch, "features", emoji, **TURNED)
    library = ex.Library.open(emoji)
    features = ex.library_features(library, words=WORDS["feature_words"].split(", "))
    active = {features.names[i] for i in np.flatnonzero(features.of(library.points([0]))[0])}
    assert {each.key.removeprefix("turn_") for each in sliders(page)} == active | {"sun"}
    page = button(page, "Reset").click().run()
    assert errors(page) == []
    assert {each.value for each in sliders(page)} == {0.0}


def test_a_turn_is_the_same_downloaded_in_python_and_as_a_command(monkeypatch, tmp_path, emoji):
    offers = offered(monkeypatch, "features", emoji, **TURNED)
    for way in ("command",):
        (tmp_path / way).mkdir()
        words = WORDS["feature_words"].replace(", ", "\n")
        (tmp_path / way / "words.txt").write_text(words)
    ways = three_ways(monkeypatch, tmp_path, "feature.png", offers["feature.png"])
    assert len(set(ways)) == 1


def test_without_a_decoder_the_python_finds_the_same_images(monkeypatch, tmp_path, bare):
    offers = offered(monkeypatch, "features", bare, **TURNED)
    write, rest = offers["feature.png"]
    write(tmp_path / "page.png")
    monkeypatch.chdir(tmp_path)
    exec(compile(rest["python"], "copied", "exec"), {})
    assert (tmp_path / "feature.png").read_bytes() == (tmp_path / "page.png").read_bytes()


def test_a_feature_that_is_not_there_is_said(monkeypatch, emoji):
    page = open_page(monkeypatch, "features", emoji, **TURNED, turn_moon="2")
    assert any("turn\\_moon" in each.value for each in page.warning)


def test_an_example_is_nearest_to_an_image_that_has_the_feature(monkeypatch, emoji):
    """Of all turns of features that an image lacks, none comes nearer to such an image."""
    library = ex.Library.open(emoji)
    features = ex.library_features(library, words=WORDS["feature_words"].split(", "))
    monkeypatch.setattr("explorer.app.state.library", lambda: library)
    activations = features.of(library.points())
    top = tuple(tuple(np.flatnonzero(column > 0)[:4].tolist()) for column in activations.T)
    found = Featured(features, (activations > 0).mean(0), top)
    row, place = found.example(range(6), 3.0)
    assert activations[row, place] == 0

    def nearest(row, place):
        turned = features.edit(library.points([row]), {features.names[place]: 3.0})
        (hit,) = library.search(turned, 1)
        return hit["score"] if activations[hit["row"], place] > 0 else -1

    others = [(r, p) for r in range(6) for p in found.most_used(8) if activations[r, p] == 0]
    assert nearest(row, place) == max(nearest(r, p) for r, p in others)
