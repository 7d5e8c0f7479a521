"""The page Search: terms, weights, filters, more like this, and what can be taken away."""

import sys

import pytest
from app_pages import captions, errors, offered, open_page, three_ways

from explorer.app import inputs
from explorer.app.server.uploads import Upload
from explorer.images import read_recipe


@pytest.fixture
def search(monkeypatch, emoji):
    return lambda **address: open_page(monkeypatch, "search", emoji, **address)


def names(page):
    """Captions without their scores and backslashes."""
    plain = [text.replace("\\", "") for text in captions(page)]
    return [text.partition(" ")[2] for text in plain if text[:1].isdigit() or text[0] == "-"]


def test_words_in_the_address_find_their_image(search):
    page = search(q0="cat face", k="5")
    assert errors(page) == []
    assert len(names(page)) == 5
    assert names(page)[0].startswith("cat face")


def test_without_words_it_says_what_to_do(search):
    page = search()
    assert names(page) == []
    assert "Type words" in page.info[0].value


def test_an_example_of_this_library_is_searched(search):
    page = search(k="4")
    example = next(each for each in page.button if " - " in each.label)
    page = example.click().run()
    assert errors(page) == [] and len(names(page)) == 4
    assert page.query_params["q0"] == example.label


def test_a_minus_that_is_typed_subtracts(search):
    """Once `- red heart` was looked for as words."""
    typed, weighted = search(q0="man farmer - man + woman"), search(
        q0="man farmer", q1="man", q2="woman", w1="-1.0"
    )  # fmt: skip
    assert errors(typed) == [] and captions(typed) == captions(weighted)
    assert captions(search(q0="man farmer + woman", avoid="man")) == captions(weighted)
    assert "only subtracts" in errors(search(q0="- red heart"))[0]


def test_pages_of_results_follow_each_other(search):
    whole, first, second = search(q0="cat", k="8"), search(q0="cat", k="4"), search(
        q0="cat", k="4", page="2"
    )  # fmt: skip
    assert names(first) + names(second) == names(whole)
    last = search(q0="cat", k="4", page="99")
    assert 0 < len(names(last)) <= 4 and last.query_params["page"] == "99"
    button = next(each for each in first.button if each.label == "Next")
    assert names(button.click().run()) == names(second)


def test_an_image_is_opened_with_its_neighbours_by_its_address(search):
    page = search(q0="cat face", k="4", open="0")
    assert errors(page) == []
    assert any("start a text diff" in str(each.proto).lower() for each in page.get("link_button"))
    (said,) = [each.value for each in search(q0="cat", open="9999").warning]
    assert "no image 9999" in said


def test_a_weight_below_zero_takes_away(search):
    page = search(q0="man farmer", q1="man", q2="woman", w1="-1.0")
    assert errors(page) == []
    assert names(page)[0].startswith("woman farmer")


def test_more_like_this_looks_for_that_image_alone(search):
    page = search(q0="cat face", q1="sun", k="4")
    liked = names(page)[1]
    likes = [each for each in page.button if each.label == "More like this"]
    page = likes[1].click().run()
    assert errors(page) == []
    assert names(page)[0] == liked
    assert captions(page)[1].startswith("1\\.00")


def test_filters_and_the_lowest_score_leave_others_out(search):
    page = search(q0="cat face", columns="style", is_style="flat", k="60")
    assert {name.split(", ")[-1] for name in names(page)} == {"flat"}
    every = search(q0="cat face")
    scores = [float(text.replace("\\", "").split()[0]) for text in captions(every)]
    few = search(q0="cat face", least=f"{(scores[0] + scores[-1]) / 2:.2f}")
    assert 0 < len(names(few)) < len(names(every))
    none = search(q0="cat face", least="0.99")
    assert "lower the score" in none.info[0].value


def test_only_what_matches_is_shown_with_its_count_or_a_sentence(search):
    """Once the toggle stood in a closed drawer, and nothing found was a line that led nowhere."""
    page = search(q0="cat face", auto="true", k="4")
    assert "Only what matches" in [each.label for each in page.main.columns[0].toggle]
    (said,) = [each.value for each in page.caption if "match" in each.value]
    count = int(said.split()[1])
    assert said.startswith(f"About {count} image") and len(names(page)) == min(count, 4)
    assert ("; the best 4 are shown." in said) == (count > 4)
    assert [each.value for each in page.warning] == []
    none = search(q0="viaduct", auto="true")
    assert names(none) == [] and "Nothing here matches" in none.info[0].value
    assert "Only what matches" in none.info[0].value


def test_notes_stand_above_the_page(search):
    page = search(q0="qwrtzk xkcdvb")
    assert "no such words" in page.warning[0].value
    first = next(iter(page.main.children[0].children.values()))
    assert first.type == "warning"


def test_terms_that_cancel_out_are_a_sentence(search):
    (error,) = errors(search(q0="cat", q1="cat", w1="-1.0"))
    assert "cancel out" in error


def test_words_never_name_a_file_of_the_server(search, emoji_images):
    """Typed words are words, even where they are the name of an image that is there."""
    file = next(emoji_images.rglob("*.png"))
    page = search(q0=str(file))
    assert errors(page) == []
    assert not captions(page)[0].startswith("1\\.00")


@pytest.mark.parametrize("query", [{"q0": "a red heart"}, {"q0_kind": "Library"}])
def test_a_download_and_both_copies_are_the_same_image(query, monkeypatch, emoji, tmp_path):
    address = {**query, "q0_row": "0", "q1": "sun", "w1": "0.5", "decode": "true", "seed": "3"}
    offer = offered(monkeypatch, "search", emoji, **address)["query.png"]
    assert len(set(three_ways(monkeypatch, tmp_path, "query.png", offer))) == 1
    assert read_recipe(tmp_path / "download" / "query.png")["settings"]["seed"] == 3


def test_the_copied_search_finds_the_same(monkeypatch, emoji, tmp_path):
    address = {"q0": "cat face", "q1": "man", "w1": "-0.5", "columns": "style", "is_style": "3d"}
    offer = offered(monkeypatch, "search", emoji, **address)["hits.png"]
    assert len(set(three_ways(monkeypatch, tmp_path, "hits.png", offer))) == 1


def test_the_copied_search_has_the_cut(monkeypatch, emoji, tmp_path):
    """Once the copies found the nearest images whether they matched or not."""
    offer = offered(monkeypatch, "search", emoji, q0="cat face", auto="true")["hits.png"]
    assert len(set(three_ways(monkeypatch, tmp_path, "hits.png", offer))) == 1
    assert 'min_score="auto"' in offer[1]["python"]
    assert " ".join(offer[1]["command"]).count("--min-score auto") == 1


@pytest.mark.parametrize("decode", ["true", "false"])
def test_an_upload_is_called_what_it_is_saved_as(
    monkeypatch, emoji, emoji_images, tmp_path, decode
):
    """Its name on the server is in no file that leaves it."""
    own = (emoji_images / "flat" / "1f436.png").read_bytes()
    kept = tmp_path / "kept.png"
    kept.write_bytes(own)
    monkeypatch.setattr(inputs, "uploaded", lambda *_, **__: [Upload(kept, "a dog.png")])
    for way in ("python", "command"):
        (tmp_path / way).mkdir()
        (tmp_path / way / "a-dog.png").write_bytes(own)
    offers = offered(monkeypatch, "search", emoji, q0_kind="Upload", decode=decode)
    name = "query.png" if decode == "true" else "hits.png"
    assert len(set(three_ways(monkeypatch, tmp_path, name, offers[name]))) == 1


def test_a_library_that_is_not_there_is_a_sentence(monkeypatch, tmp_path):
    (error,) = errors(open_page(monkeypatch, "search", tmp_path / "none.lib", q0="cat"))
    assert "none" in error
    assert "Traceback" not in error


def test_unknown_arguments_are_a_sentence(monkeypatch, emoji):
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py"])
    (error,) = errors(open_page(monkeypatch, "search", emoji, "--fast", q0="cat"))
    assert "fast" in error
