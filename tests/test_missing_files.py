"""Files that are gone: counted and said, marked wherever images are shown, and never a failure."""

import json
import os

import numpy as np
import pytest
from app_pages import button, captions, errors, open_page
from fakes import ColourEncoder, coloured, image, make_tar, run
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from typer.testing import CliRunner

from explorer import Library, cli, html
from explorer.app import state
from explorer.app.map import atlas
from explorer.app.server import thumbnails
from explorer.library import presence, sheet
from explorer.library.presence import FileGone
from explorer.projection import Projection

COLOURS = ("red", "blue", "green", "white")


@pytest.fixture
def kept(tmp_path, pocket):
    """A library of four plain images, of which two are gone."""
    (tmp_path / "my images").mkdir()
    for name in COLOURS:
        Image.new("RGB", (64, 64), name).save(tmp_path / "my images" / f"{name}.png")
    library = Library.create(tmp_path / "k.lib", pocket)
    library.add(tmp_path / "my images", workers=0)
    for name in COLOURS[:2]:
        (tmp_path / "my images" / f"{name}.png").unlink()
    return tmp_path / "k.lib"


def unclip(*words):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words])


def test_search_counts_and_marks_them(kept, tmp_path):
    shown = unclip("search", kept, "red", "--sheet", tmp_path / "hits.png")
    assert shown.exit_code == 0
    said = f"2 of these 4 files are no longer there. If they moved: unclip moved {kept} OLD NEW"
    source = tmp_path / "my images"
    assert said in shown.stderr and f"unclip index '{source}' --library {kept}" in shown.stderr
    lines = [line for line in shown.stdout.splitlines() if "— no longer there" in line]
    assert sorted(line.split()[2].rsplit("/", 1)[1] for line in lines) == ["blue.png", "red.png"]
    assert unclip("search", kept, "red", "-k", "4").stderr.count("no longer there") == 1
    greys = np.asarray(Image.open(tmp_path / "hits.png").convert("RGB")) == (0xE4,) * 3
    assert 1.5 < greys.all(axis=2).sum() / sheet.TILE**2 < 2, "two tiles, less their words"
    source.rename(tmp_path / "else")
    shown = unclip("search", kept, "red", "--json")
    hint = f"unclip moved {kept} '{source}' NEW; if they are gone: unclip forget {kept} '{source}'"
    assert "4 of these 4 files" in shown.stderr and hint in shown.stderr
    assert [hit["missing"] for hit in json.loads(shown.stdout)] == [True] * 4


def test_names_for_other_programs_leave_them_out(kept, tmp_path):
    for option, end in (("--files-only", "\n"), ("-0", "\0")):
        shown = unclip("search", kept, "red", option)
        names = {os.path.basename(name) for name in shown.stdout.split(end) if name}
        assert names == {"green.png", "white.png"} and shown.exit_code == 0
        assert "2 of these 4 files are no longer there, and are left out" in shown.stderr
    for name in COLOURS[2:]:
        (tmp_path / "my images" / f"{name}.png").unlink()
    shown = unclip("search", kept, "red", "--files-only")
    assert shown.stdout == "" and shown.exit_code == 1


def test_a_preview_shows_the_tile(kept):
    shown = unclip("search", kept, "red", "--preview")
    assert shown.exit_code == 0 and shown.stdout.count("no longer there") == 2


def test_a_whole_library_says_nothing(kept, tmp_path):
    for name in COLOURS[:2]:
        Image.new("RGB", (64, 64), name).save(tmp_path / "my images" / f"{name}.png")
    shown = unclip("search", kept, "red")
    assert "no longer there" not in shown.output + shown.stderr
    assert "files: all 4 are there" in unclip("info", kept).stdout


def test_info_and_verify_count_them(kept):
    assert "files: 2 of 4 are no longer there" in unclip("info", kept).stdout
    files = {"files": 4, "checked": 4, "missing": 2}
    assert json.loads(unclip("info", kept, "--json").stdout)["files"] == files
    checked = unclip("verify", kept, "--read-data")
    assert "Files of its images: 2 of 4 are no longer there" in checked.stdout
    assert checked.exit_code == 0, "that is no damage"
    assert json.loads(unclip("verify", kept, "--json").stdout)["files"] == files


def test_the_count_stops_in_time_and_says_what_was_checked(library, images, encoder, monkeypatch):
    run(library, [images], encoder)
    monkeypatch.setattr(presence, "_AT_ONCE", 2)
    times = iter(range(100))
    monkeypatch.setattr(presence.time, "monotonic", lambda: next(times))
    found = library.check_files(3)
    assert (found.files, found.checked) == (8, 4)
    assert str(found) == (
        "0 of 4 files looked at are no longer there; the library has 8, and the time was up"
    )
    assert library.check_files().checked == 8


def test_tars_count_once_and_vectors_without_files_never(tmp_path):
    make_tar(tmp_path / "a.tar", [("1.png", image(1)), ("2.png", image(2))])
    library = Library.create(tmp_path / "library", coloured())
    run(library, [tmp_path / "a.tar"], ColourEncoder())
    np.save(tmp_path / "v.npy", np.eye(3, 8, dtype=np.float32))
    library.add_vectors(tmp_path / "v.npy", check_model=False)
    for file in ("a.tar", "v.npy"):
        (tmp_path / file).unlink()
    assert library.check_files() == presence.FilesChecked(1, 1, 1)
    hits = library.search(library.points([0]), 5)
    assert sorted(hits.rows[hits.missing]) == [0, 1]
    with pytest.raises(FileGone, match=r"a\.tar/1\.png is no longer there"):
        library.open_image(0)


def test_long_names_fit_on_the_tile():
    error = FileGone("gone")
    for name in ("/a/" + "é" * 300 + ".png", "", "/a/b.png"):
        tile = np.asarray(sheet.tile(name, error).convert("L"))
        ink = np.argwhere(tile[1:-1, 1:-1] < 0xA0) + 1
        assert ink.min() >= 4 and ink.max() < sheet.TILE - 4


def test_jupyter_shows_the_tile(kept, monkeypatch):
    shown = []
    monkeypatch.setattr(html, "image", lambda image, caption: shown.append(image) or caption)
    library = Library.open(kept)
    hits = library.search(library.points([0]), 4)
    assert "0." in hits._repr_html_() and library._repr_html_()
    assert sum(image.getpixel((3, 3)) == (0xE4,) * 3 for image in shown) == 4


def test_the_dashboard_shows_the_tile_in_every_grid(kept, monkeypatch):
    page = open_page(monkeypatch, "search", kept, q0="red")
    assert errors(page) == [] and len(captions(page)) == 4
    more = [each.disabled for each in page.button if each.label == "More like this"]
    assert sorted(more) == [False, False, True, True]
    page = open_page(monkeypatch, "library", kept)
    assert errors(page) == [] and len(captions(page)) == 4
    page = button(page, "Verify").click().run()
    assert any("2 of 4 are no longer there" in each.value for each in page.warning)


def test_a_tile_is_not_kept_by_the_browser(kept, tmp_path, monkeypatch):
    library = Library.open(kept)
    monkeypatch.setattr(state, "library", lambda: library)
    client = TestClient(Starlette(routes=thumbnails.routes()))
    row = [os.path.basename(p) for p in library.rows["path"]].index(b"red.png")
    address = f"/images/{library.cache_key}/{row}"
    gone = client.get(address)
    assert gone.status_code == 200 and gone.headers["cache-control"] == "no-store"
    Image.new("RGB", (64, 64), "red").save(tmp_path / "my images" / "red.png")
    back = client.get(address)
    assert "immutable" in back.headers["cache-control"] and back.content != gone.content


def test_a_sheet_with_missing_images_is_kept_by_no_one(kept, tmp_path, monkeypatch):
    """Once browser and disk kept it for good, grey where a drive was away for a minute."""
    library = Library.open(kept)
    monkeypatch.setattr(state, "library", lambda: library)
    places = Projection.cached(library.cache_folder, library.points())
    monkeypatch.setattr(atlas, "layout", lambda: places)
    client = TestClient(Starlette(routes=thumbnails.routes()))
    address = f"/sheets/{library.cache_key}/0"
    gone = client.get(address)
    assert gone.status_code == 200 and gone.headers["cache-control"] == "no-store"
    for name in COLOURS[:2]:
        Image.new("RGB", (64, 64), name).save(tmp_path / "my images" / f"{name}.png")
    whole = client.get(address)
    assert "immutable" in whole.headers["cache-control"] and whole.content != gone.content
    for name in COLOURS:
        (tmp_path / "my images" / f"{name}.png").unlink()
    assert client.get(address).content == whole.content, "a whole sheet is kept"
