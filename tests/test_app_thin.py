"""Images a pixel or so wide take no page, sheet or map with them."""

import logging

import numpy as np
import pytest
from app_pages import captions, errors, open_page
from PIL import Image
from typer.testing import CliRunner

import explorer
from explorer.app import state
from explorer.cli import unclip
from explorer.images import fitted, grid

SIZES = ((1500, 10), (600, 1), (3840, 20), (1, 700), (40, 40))


@pytest.fixture(scope="module")
def thin(pocket, tmp_path_factory):
    folder = tmp_path_factory.mktemp("thin")
    (folder / "images").mkdir()
    for number, size in enumerate(SIZES):
        pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{size[0]} x {size[1]}.png")
    library = explorer.Library.create(folder / "thin.lib", pocket)
    assert library.add([folder / "images"], workers=0).failed == 0
    return library.folder


@pytest.mark.parametrize("name", ["search", "library", "map"])
def test_pages_show_thin_images(monkeypatch, thin, name):
    page = open_page(monkeypatch, name, thin, **({"q0": "a line"} if name == "search" else {}))
    assert errors(page) == []
    if name != "map":
        shown = " ".join(captions(page)).replace("\\", "")
        assert all(f"{width} x {height}.png" in shown for width, height in SIZES)


def test_a_thumbnail_that_fails_is_grey_and_logged(monkeypatch, thin, caplog):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(state, "fitted", fail)
    state._small.clear()
    with caplog.at_level(logging.ERROR):
        page = open_page(monkeypatch, "library", thin)
    state._small.clear()
    assert errors(page) == [] and len(captions(page)) == len(SIZES)
    assert "cannot be shown" in caplog.text


@pytest.mark.parametrize("size", SIZES)
def test_an_image_of_any_shape_fits_a_tile(size):
    assert max(fitted(Image.new("RGB", size), 128).size) == 128
    assert grid([Image.new("RGB", size)], size=16).size == (32, 32)


@pytest.mark.parametrize(
    "words", ["search {} line --sheet {}/a.png", "map {} -o {}/a.html", "map {} -o {}/a.png"]
)
def test_sheets_and_maps_hold_thin_images(thin, tmp_path, words):
    place, library = tmp_path, thin
    typed = words.replace("{}", str(library), 1).replace("{}", str(place)).split()
    result = CliRunner().invoke(unclip, typed)
    assert result.exit_code == 0, result.output
