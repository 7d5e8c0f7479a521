"""The map in a notebook: what is chosen comes back as rows; what is asked for is sent."""

import io

import numpy as np
import pytest
from PIL import Image

import explorer as ex
from explorer.errors import QueryError
from explorer.projection import Projection
from explorer.projection.colours import by_values


@pytest.fixture(scope="module")
def library(emoji):
    return ex.Library.open(emoji)


@pytest.fixture
def chooser(library):
    return library.map(colour="style")


def test_a_lasso_and_a_click_give_rows(chooser, library):
    xy = Projection.cached(library.cache_folder, library.points()).xy
    left, low = xy.min(0) - 1
    middle, high = np.median(xy[:, 0]), xy[:, 1].max() + 1
    border = [[left, low], [middle, low], [middle, high], [left, high]]
    told = []
    chooser.observe(lambda change: told.append(change["new"]), "rows")
    chooser.event = {"kind": "lasso", "places": border, "row": None}
    inside = np.flatnonzero(xy[:, 0] < middle)
    assert chooser.rows == inside.tolist() == told[0]
    assert chooser.selection.equals(library.rows.iloc[inside])
    assert np.frombuffer(chooser.mask, np.uint8).nonzero()[0].tolist() == inside.tolist()
    chooser.event = {"kind": "click", "places": [[0, 0]], "row": 3}
    assert chooser.rows == [3]
    chooser.event = {"kind": "click", "places": [[9, 9]], "row": None}
    assert chooser.rows == [] and chooser.mask == b""


def test_the_image_and_caption_of_a_row_are_sent(chooser, library, monkeypatch):
    sent = []
    monkeypatch.setattr(chooser, "send", lambda content, buffers: sent.append((content, buffers)))
    for asked in ({"row": 2}, {"row": 99}, {"row": "2"}, {}, None):
        chooser._handle_custom_msg(asked, [])
    ((content, (image,)),) = sent
    assert content == {"row": 2, "caption": library.rows["caption"].iloc[2]}
    assert Image.open(io.BytesIO(image)).format == "JPEG"


def test_a_column_colours_the_points(chooser, library):
    names = chooser.scene["colours"]["names"]
    codes = np.frombuffer(chooser.codes, np.uint8)
    assert [names[code] for code in codes] == library.rows["style"].tolist()


@pytest.mark.parametrize("column", ["style", "caption"])
def test_the_notebook_and_the_dashboard_colour_alike(library, column):
    """Once the notebook had rules of its own."""
    chooser, colours = library.map(colour=column), by_values(column, library.rows[column])
    assert chooser.codes == colours.content()
    assert chooser.scene["colours"] == colours.legend()


def test_what_cannot_be_shown_is_refused(library):
    with pytest.raises(QueryError, match="no column 'weight'"):
        library.map(colour="weight")
