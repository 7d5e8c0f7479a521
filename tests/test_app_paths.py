"""The pages Text diff and Walk: the ways they show, and what can be taken away."""

import numpy as np
import pytest
from app_pages import button, captions, errors, offered, open_page, three_ways

from explorer.app.pages import diff
from explorer.app.server import decoding
from explorer.axes import Axes
from explorer.recipe import Recipe
from explorer.rendering import recipe_values

IMAGE = "Library"
DIFF = {"diff": "cat face", "diff_from": "cat face", "diff_to": "dog face", "diff_frames": "4"}
WALK = {"walk_0": "cat face", "walk_1": "sun", "walk_2": "snowman", "walk_frames": "4"}
TAKE = {"diff_kind": IMAGE, "diff_row": "1", "diff_noise": "the images' own"}


@pytest.fixture(autouse=True)
def _few_previews(monkeypatch):
    monkeypatch.setattr(diff, "PREVIEW_FRAMES", 3)


@pytest.fixture
def open_(monkeypatch, emoji):
    return lambda name, **address: open_page(monkeypatch, name, emoji, **address)


def times(page):
    return [float(t[5:].replace("\\", "")) for t in captions(page) if t.startswith("t \\= ")]


@pytest.mark.parametrize("name", ["diff", "walk"])
def test_without_words_there_is_an_example_to_press(open_, name):
    page = open_(name, **{f"{name}_frames": "4"})
    assert errors(page) == [] and captions(page) == []
    page = button(page, "Show an example").click().run()
    assert errors(page) == []
    assert times(page)[0] == 0 and times(page)[-1] == 1
    assert page.get("arrow_vega_lite_chart") or page.get("vega_lite_chart")


def test_a_diff_shows_its_frames_with_real_images_under_each(open_):
    page = open_("diff", **DIFF)
    assert errors(page) == []
    assert len(times(page)) == 4
    assert len(captions(page)) == 4 * (1 + 3)
    assert "Steadiness" in page.caption[-1].value


@pytest.mark.parametrize("turn", ["2", "-1", "nan", "far"])
def test_a_turn_that_makes_no_sense_is_half_of_the_way(monkeypatch, emoji, turn):
    offers = offered(monkeypatch, "diff", emoji, **DIFF, diff_turn=turn)
    assert "fraction" not in offers["diff.mp4"][1]["python"]
    said = open_page(monkeypatch, "diff", emoji, **DIFF, diff_turn=turn).warning
    assert any("from 0 to 1" in each.value for each in said)


@pytest.mark.parametrize(
    "start",
    [
        {},
        {"diff_way": diff.ROTATE},
        pytest.param(TAKE, marks=pytest.mark.slow),
        pytest.param({**TAKE, "diff_noise": "one for all frames"}, marks=pytest.mark.slow),
    ],
)
def test_a_diff_is_the_same_downloaded_in_python_and_as_a_command(
    monkeypatch, tmp_path, emoji, start
):
    address = {**DIFF, **start, "diff_turn": "0.35", "diff_as": "PNG", "diff_seed": "2"}
    offers = offered(monkeypatch, "diff", emoji, **address)
    assert len(set(three_ways(monkeypatch, tmp_path, "diff.png", offers["diff.png"]))) == 1
    inverted = recipe_values(tmp_path / "download/diff.png")["noise"] is not None
    assert inverted == (start == TAKE)


def test_through_the_prior_it_goes_all_the_way_and_needs_both_captions(monkeypatch, emoji):
    offers = offered(monkeypatch, "diff", emoji, **DIFF)
    told = offers["diff.mp4"][1]
    assert "fraction" not in told["python"] and "prior" not in told["python"]
    assert not {"--rotate", "--through-prior"} & set(told["command"])
    turned = offered(monkeypatch, "diff", emoji, **DIFF, diff_way=diff.ROTATE)["diff.mp4"][1]
    assert "through_prior=False" in turned["python"] and "--rotate" in turned["command"]
    page = open_page(monkeypatch, "diff", emoji, **DIFF | {"diff_from": ""})
    assert errors(page) == [] and any("it rotates" in each.value for each in page.caption)


def test_the_one_image_is_the_last_of_the_way(monkeypatch, tmp_path, emoji):
    offers = offered(monkeypatch, "diff", emoji, **DIFF, diff_turn="0.35")
    download, python, command = three_ways(
        monkeypatch, tmp_path, "changed.png", offers["changed.png"]
    )
    assert download == python == command
    one = recipe_values(tmp_path / "download/changed.png")
    offers["diff.mp4"][0](tmp_path / "diff.mp4")
    way = Recipe.from_dict(recipe_values(tmp_path / "diff.mp4"))
    np.testing.assert_array_equal(Recipe.from_dict(one).points.vectors, way.points.vectors[-1:])


def test_words_that_look_like_an_algebra_stay_words(monkeypatch, emoji):
    offers = offered(monkeypatch, "diff", emoji, **DIFF | {"diff": "2:red + blue"})
    assert '"2:red + blue"' in offers["diff.mp4"][1]["command"]


@pytest.mark.parametrize("even", ["false", pytest.param("true", marks=pytest.mark.slow)])
def test_a_walk_is_the_same_downloaded_in_python_and_as_a_command(
    monkeypatch, tmp_path, emoji, even
):
    offers = offered(monkeypatch, "walk", emoji, **WALK, walk_even=even, walk_as="PNG")
    assert len(set(three_ways(monkeypatch, tmp_path, "walk.png", offers["walk.png"]))) == 1
    recipe = recipe_values(tmp_path / "download/walk.png")
    assert len(recipe["keyframes"]["labels"]) == 3
    assert bool(recipe["times"]) == (even == "true")


@pytest.mark.slow
def test_a_walk_of_images_turns_their_noise_or_keeps_one(monkeypatch, tmp_path, emoji):
    stops = {"walk_0_kind": IMAGE, "walk_0_row": "0", "walk_1_kind": IMAGE, "walk_1_row": "3"}
    kept = []
    for noise in ("the images' own", "one for all frames"):
        offers = offered(monkeypatch, "walk", emoji, **stops, walk_frames="4", walk_noise=noise)
        offers["walk.mp4"][0](tmp_path / "walk.mp4")
        kept.append(recipe_values(tmp_path / "walk.mp4")["noise"])
    assert kept[0]["shape"][0] == 2
    assert kept[1] is None


@pytest.mark.parametrize("name", ["diff", "walk"])
def test_without_a_decoder_the_real_images_on_the_way_are_shown(monkeypatch, bare, name):
    """Once each page ended its example with "has no decoder", in red."""
    page = open_page(monkeypatch, name, bare, **{**DIFF, **WALK, f"{name}_frames": "5"})
    assert errors(page) == []
    shown = [text for text in captions(page) if text[0].isdigit()]
    assert [int(text.partition("\\")[0]) for text in shown] == [1, 2, 3, 4, 5]
    (line,) = [each.value for each in page.caption if "has no decoder" in each.value]
    assert "`unclip train bridge" in line


@pytest.mark.parametrize("name", ["diff", "walk"])
def test_a_path_of_real_images_is_the_same_in_three_ways(monkeypatch, tmp_path, bare, name):
    address = {**DIFF, **WALK, f"{name}_frames": "5", f"{name}_as": "PNG"}
    offers = offered(monkeypatch, name, bare, **address)
    assert len(set(three_ways(monkeypatch, tmp_path, f"{name}.png", offers[f"{name}.png"]))) == 1


@pytest.mark.parametrize("name", ["diff", "walk", "axes"])
def test_the_example_of_a_library_without_decoder_is_no_error(monkeypatch, bare, name):
    page = open_page(monkeypatch, name, bare)
    page = button(page, "Show an example").click().run()
    assert errors(page) == [] and len(captions(page)) >= 6


def test_nothing_is_offered_that_cannot_run(monkeypatch, bare):
    page = open_page(monkeypatch, "search", bare, q0="cat")
    assert "Decode this query" not in [each.label for each in page.toggle]
    page = open_page(monkeypatch, "vary", bare)
    assert errors(page) == [] and not page.button
    assert any("has no decoder" in each.value for each in page.caption)


def test_images_on_axes_are_near_their_places_and_come_once():
    rng = np.random.default_rng(0)
    xy, places = rng.normal(size=(40, 2)), rng.normal(size=(9, 2))
    rows = Axes.rows_at(xy, places)
    assert len(set(rows.tolist())) == 9
    scale = xy.std(axis=0)
    sums = (((places - xy[rows]) / scale) ** 2).sum()
    for _ in range(200):
        other = rng.choice(40, 9, replace=False)
        assert (((places - xy[other]) / scale) ** 2).sum() >= sums


def test_a_walk_shows_a_rough_slider_first_and_not_again(monkeypatch, emoji):
    """What is decoded is asked for once; with the same address again, nothing rough is."""
    doing = []

    def heard(rendering, what="Decoding"):
        doing.append((what, len(rendering)))
        return decoding.decoded(rendering, what)

    monkeypatch.setattr("explorer.app.pages.walk.decoded", heard)
    decoding.result_cache.clear()
    for _ in range(2):
        assert errors(open_page(monkeypatch, "walk", emoji, **WALK)) == []
    assert doing == [("Decoding previews", 9), ("Decoding", 4), ("Decoding", 4)]
