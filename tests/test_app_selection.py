"""Selections of the map: what they keep stays, and nothing of them is dropped in silence."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from app_pages import button, open_page

from explorer.app.map.selection import MAX_STROKES, Stroke, read_strokes, write_strokes
from explorer.app.pages import map as page_map
from explorer.library import Library
from explorer.projection import Projection

LEFT = "-9,-9;0,-9;0,9;-9,9"
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))


@pytest.fixture
def own(tmp_path, emoji):
    """A library with a map whose halves are known."""
    library = Library.open(shutil.copytree(emoji, tmp_path / "own.lib"))
    x = np.where(np.arange(len(library)) % 2, -1, 1)
    xy = np.stack([x, np.arange(len(library)) / len(library)], axis=1).astype(np.float32)
    Projection(library.points(), xy).save(library.cache_folder)
    return library


def open_map(monkeypatch, library, **address):
    return open_page(monkeypatch, "map", library.folder, **address)


def test_a_selection_keeps_no_name_that_another_column_has(monkeypatch, own):
    own.set_columns({"place": ["here"] * len(own)})
    page = open_map(monkeypatch, own, lasso=LEFT)
    page.text_input("keep-name").set_value("place")
    page = button(page, "Keep as column").click().run()
    assert "column place already" in page.error[0].value
    assert set(Library.open(own.folder).rows["place"]) == {"here"}


def test_scores_of_a_second_selection_leave_those_of_the_first(monkeypatch, own):
    button(open_map(monkeypatch, own, lasso=LEFT), "Score all images").click().run()
    first = Library.open(own.folder).rows["selection or the rest"].tolist()
    right = LEFT.replace("-9,", "9,")
    button(open_map(monkeypatch, own, lasso=right), "Score all images").click().run()
    rows = Library.open(own.folder).rows
    assert rows["selection or the rest"].tolist() == first
    assert rows["selection or the rest 2"].tolist() != first


def test_a_selection_has_its_first_borders_and_says_when_it_takes_no_more(monkeypatch, own):
    strokes = [Stroke("new", SQUARE), *[Stroke("add", SQUARE)] * MAX_STROKES]
    assert [each.mode for each in read_strokes(write_strokes(strokes))] == (
        ["new"] + ["add"] * (MAX_STROKES - 1)
    )
    page = open_map(monkeypatch, own, lasso=write_strokes(strokes[:-1]))
    assert any("no more are added" in each.value for each in page.caption)
    kept = {}
    monkeypatch.setattr(page_map, "combine_mode", lambda: "add")
    monkeypatch.setattr(page_map, "st", SimpleNamespace(query_params=kept))
    event = SimpleNamespace(kind="lasso", places=SQUARE, row=None)
    page_map._remember(event, strokes[:-1])
    assert kept["lasso"] == write_strokes(strokes[:-1])
