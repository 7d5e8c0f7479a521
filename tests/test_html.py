"""How objects look in Jupyter, and the bars there."""

import base64
import io
import re
import time

import numpy as np
import pytest
from coloured import dataset
from fakes import COLOUR_SPACE
from PIL import Image

from explorer import html
from explorer.path import Path
from explorer.points import Points
from explorer.progress_bar import progress
from explorer.settings import Settings


def thumbnails(html):
    found = re.findall('src="data:image/png;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in found]


@pytest.fixture
def library(tmp_path):
    return dataset(tmp_path).library


def test_hits_show_the_images_that_were_found(library):
    hits = library.search(library.points([0]), 3)
    html = hits._repr_html_()
    expected = [hits.open_image(row) for row in hits.rows]
    assert [t.tobytes() for t in thumbnails(html)] == [p.tobytes() for p in expected]
    assert all(line in html for line in hits.captions)


def test_a_image_that_is_gone_is_said_instead_of_shown(library):
    hits = library.search(library.points([0]), 2)
    for file in library.folder.parent.glob("images/*.png"):
        file.unlink()
    html = hits._repr_html_()
    assert len(thumbnails(html)) == 2
    assert html.count("is no longer there") == 4, "under the tile, and for who cannot see it"


def test_a_library_shows_images_from_its_start_to_its_end(library):
    shown = thumbnails(library._repr_html_())
    assert len(shown) == html.SHOWN
    ends = [library.open_image(row) for row in (0, len(library) - 1)]
    assert [shown[i].tobytes() for i in (0, -1)] == [end.tobytes() for end in ends]


def test_words_cannot_become_html():
    points = Points(np.ones((1, 8)), COLOUR_SPACE, "image", ("<script>alert(1)</script>",))
    html = points._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_strip_is_blue_below_zero_and_red_above():
    (strip,) = thumbnails(html.strip(np.array([-2.0, 0.0, 2.0]), "a"))
    assert [strip.getpixel((x, 0)) for x in range(3)] == [(0, 0, 255), (255,) * 3, (255, 0, 0)]


def test_points_and_paths_show_a_strip_each(library):
    points = library.points(range(20))
    assert len(thumbnails(points._repr_html_())) == html.SHOWN
    assert "and 8 more" in points._repr_html_()
    assert len(thumbnails(Path.slerp(points[0], points[7])._repr_html_())) == 5


def slowly(items):
    for item in items:
        time.sleep(0.15)  # a bar is drawn ten times a second at most
        yield item


def test_a_bar_counts_what_passes_and_the_core_draws_none(capsys, pocket):
    assert list(progress(iter("abc"), 3, "spelling")) == ["a", "b", "c"]
    assert "spelling" in capsys.readouterr().err
    list(pocket.decoder.decode(pocket.prior.sample(["a cat"]), Settings(steps=1)))
    assert capsys.readouterr() == ("", "")


def test_a_bar_that_is_closed_closes_what_it_counts():
    closed = []

    def items():
        try:
            yield from range(9)
        finally:
            closed.append(True)

    bar = progress(items(), 9)
    next(bar)
    bar.close()
    assert closed
