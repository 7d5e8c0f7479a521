"""The page Concept axes, and the formula that moves a point on them."""

import json

import numpy as np
import pytest
from app_pages import button, captions, errors, offered, open_page, three_ways

from explorer.axes import Axes
from explorer.errors import QueryError, SpaceMismatch
from explorer.geometry import angle
from explorer.points import Points, Space
from explorer.rendering import recipe_values

SPACE = Space("room", 8, "0f")
WORDS = {"axes_x0": "man", "axes_x1": "woman", "axes_y1": "cat face"}


def points(n, seed, side="image"):
    vectors = np.random.default_rng(seed).normal(size=(n, 8)) * 3
    return Points(vectors, SPACE, side, [f"p{i}" for i in range(n)])


@pytest.fixture
def axes():
    return Axes(points(2, 0, "text"))


PLACES = np.array([[0.0, 0.0], [0.3, -0.2], [-0.5, 0.1]])


def test_a_moved_point_has_the_coordinates_that_were_asked_for(axes):
    moved = axes.at(points(1, 1), PLACES)
    assert axes.coordinates(moved) == pytest.approx(PLACES, abs=1e-6)
    assert moved.norms == pytest.approx(points(1, 1).norms[0], rel=1e-6)
    assert moved.side == "image"


def test_a_point_at_its_own_coordinates_stays_where_it_is(axes):
    base = points(1, 2)
    assert angle(base, axes.at(base, axes.coordinates(base)))[0] < 1e-3


def test_no_point_with_these_coordinates_is_nearer_to_the_base(axes):
    base, others = points(1, 3), points(200, 4)
    moved = axes.at(base, PLACES[1:2])
    rivals = [axes.at(other, PLACES[1:2]) for other in others]
    assert min(angle(base, rival)[0] for rival in rivals) >= angle(base, moved)[0] - 1e-6


def test_axes_that_measure_the_same_are_refused():
    a = points(1, 0, "text")
    for twin in (a, a.with_vectors(-2 * a.vectors)):
        with pytest.raises(QueryError, match="are parallel"):
            Axes(Points.concat([a, twin]))
    with pytest.raises(QueryError, match="two directions"):
        Axes(a)


def test_places_out_of_reach_and_other_spaces_are_refused(axes):
    with pytest.raises(QueryError, match="too large together"):
        axes.at(points(1, 1), np.array([[0.9, -0.9]]))
    elsewhere = Points(np.ones((1, 8)), Space("other", 8, "1f"), "image")
    with pytest.raises(SpaceMismatch):
        axes.coordinates(elsewhere)
    with pytest.raises(SpaceMismatch):
        axes.at(elsewhere, PLACES)


@pytest.fixture
def page(monkeypatch, emoji):
    return lambda **address: open_page(monkeypatch, "axes", emoji, **address)


def test_an_example_shows_a_place_and_the_real_images_near_it(page):
    shown = button(page(), "Show an example").click().run()
    assert errors(shown) == []
    assert captions(shown)[0].startswith("x ")
    assert len(captions(shown)) == 1 + 6
    (component,) = shown.get("bidi_component")
    assert json.loads(component.proto.json)["tools"] == ["look"], "it reads no other"


def test_the_image_nearest_to_the_place_is_moved(monkeypatch, emoji):
    import explorer as ex

    library = ex.Library.open(emoji)
    axes = Axes.read(ex.load("pocket").encoder, ("man", "woman"), ("", "cat face"))
    x, y = axes.coordinates(library.points([4]))[0]
    offers = offered(monkeypatch, "axes", emoji, **WORDS, axes_at=f"{x},{y}")
    assert ".points([4])" in offers["place.png"][1]["python"]


SHEET = pytest.param({"axes": "sun", "axes_sheet": "true"}, marks=pytest.mark.slow)


@pytest.mark.parametrize("query", [{"axes_at": "0.02,0.1"}, SHEET])
def test_a_place_and_a_sheet_are_the_same_downloaded_in_python_and_as_a_command(
    monkeypatch, tmp_path, emoji, query
):
    ((name, offer),) = offered(monkeypatch, "axes", emoji, **WORDS, **query).items()
    assert len(set(three_ways(monkeypatch, tmp_path, name, offer))) == 1
    assert recipe_values(tmp_path / "download" / name)["count"] == (25 if "axes" in query else 1)


@pytest.mark.parametrize("at", ["nan,0", "1", "x,y", "9,9"])
def test_a_place_that_makes_no_sense_is_the_middle(page, at):
    assert captions(page(**WORDS, axes_at=at)) == captions(page(**WORDS))


def test_no_place_is_called_minus_zero(page):
    text = captions(page(**WORDS, axes_at="0.02,-0.0001"))[0]
    assert text.replace("\\", "") == "x = 0.020, y = 0.000"


def test_a_place_that_no_point_has_is_a_sentence(page):
    (error,) = errors(page(**WORDS, axes_at="0.99,0.99"))
    assert "too large together" in error
