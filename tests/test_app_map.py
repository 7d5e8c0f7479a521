"""The page Map without a browser: what it shows for what the address says; and its parts."""

import io
import json
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from app_pages import button, errors, offered, open_page, three_ways
from fakes import ColourEncoder, coloured, image, run
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from explorer import cli
from explorer.app.map import atlas, colouring, panel
from explorer.app.map.colouring import heat
from explorer.app.map.layers import (
    BLIND,
    BLOCKS,
    JUDGED,
    LEGENDS,
    MOSAIC,
    representatives,
    smoothed,
)
from explorer.app.map.selection import along, rows_within, write_chosen
from explorer.app.pages import map as page_map
from explorer.cache_files import write_cache
from explorer.errors import LibraryError, QueryError
from explorer.library import Library
from explorer.library.subset import write_subset
from explorer.models import load
from explorer.notes import collecting
from explorer.projection import Projection
from explorer.projection.tiles import z_order
from explorer.regions import kept
from explorer.regions.crowds import Region, crowds, map_regions
from explorer.regions.kept import map_crowds

N = 48


@pytest.fixture(scope="module")
def library(tmp_path_factory, pocket, sample):
    """Some sample images with a map, laid out without UMAP, whose import alone takes seconds."""
    images = sorted((sample / "noto").glob("*.png"))[:N]
    library = Library.create(tmp_path_factory.mktemp("map") / "map.lib", pocket)
    captions = pd.read_csv(sample / "captions.csv")
    library.add(images, workers=0, columns=sample / "captions.csv")
    assert len(library) == N and "caption" in captions
    points = library.points()
    centred = points.unit - points.unit.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    Projection(points, (centred @ axes.T).astype(np.float32)).save(library.cache_folder)
    return library


def open_map(monkeypatch, library, **address):
    return open_page(monkeypatch, "map", library.folder, **address)


def captions(page):
    return [image.caption for element in page.get("image") for image in element.proto.imgs]


def scene_of(page):
    return json.loads(page.get("bidi_component")[0].proto.json)


def place_of(library, row):
    xy = Projection.load(library.cache_folder, library.points()).xy[row]
    return f"{xy[0]:.5g},{xy[1]:.5g}"


def test_the_map_opens_with_the_librarys_images_by_reference(monkeypatch, library):
    page = open_map(monkeypatch, library)
    assert errors(page) == []
    scene = scene_of(page)
    assert scene["thumbnails"] == f"/images/{library.cache_key}/{{row}}"
    assert len(json.dumps(scene)) < 20_000


def test_colours_follow_the_chosen_column(monkeypatch, library):
    page = open_map(monkeypatch, library, colour="group")
    assert scene_of(page)["colours"]["title"] == "group"
    page.selectbox("colour").set_value("One colour").run()
    assert "colours" not in scene_of(page)


def test_words_are_marked_on_the_map_with_what_they_find(monkeypatch, library):
    scene = scene_of(open_map(monkeypatch, library, find="a smiling face", labels="false"))
    kinds = [mark["kind"] for mark in scene["marks"]]
    assert kinds == ["hit"] * 12 + ["words"]
    assert scene["marks"][-1]["text"] == "a smiling face"


def test_a_place_is_decoded_beside_its_neighbours_with_its_support(monkeypatch, library):
    page = open_map(monkeypatch, library, click="0.01,0.02")
    assert errors(page) == []
    assert captions(page)[0] == "decoded"
    assert len(captions(page)) == 7
    assert [metric.label for metric in page.metric] == ["Support", "Cosine", "Map distance"]
    assert any("places.inverse([[0.01, 0.02]])" in code.value for code in page.code)


def test_a_place_far_out_says_so(monkeypatch, library):
    near = open_map(monkeypatch, library, click=place_of(library, 0))
    far = open_map(monkeypatch, library, click="40,40")
    distances = [float(page.metric[2].value) for page in (near, far)]
    assert distances[0] < 0.1
    assert distances[1] > 100


def test_a_clicked_image_stands_beside_its_decoding(monkeypatch, library):
    page = open_map(monkeypatch, library, click=place_of(library, 3), row="3")
    assert captions(page)[:2] == ["the image", "decoded"]


def test_a_lasso_shows_its_images_and_offers_files(monkeypatch, library):
    page = open_map(monkeypatch, library, lasso="-9,-9;9,-9;9,9;-9,9")
    assert errors(page) == []
    assert page.subheader[0].value == f"{N} images selected"
    assert len(page.dataframe[0].value) == N


HALVES = "-9,-9;0,-9;0,9;-9,9|add:0,-9;9,-9;9,9;0,9"


def test_lassos_add_and_subtract_and_the_last_is_undone(monkeypatch, library):
    page = open_map(monkeypatch, library, lasso=HALVES)
    assert page.subheader[0].value == f"{N} images selected"
    assert "selected" in scene_of(page)
    page = button(page, "Undo").click().run()
    left = int((Projection.load(library.cache_folder, library.points()).xy[:, 0] < 0).sum())
    assert page.subheader[0].value == f"{left} images selected"
    page = open_map(monkeypatch, library, lasso=HALVES.replace("add", "sub"))
    assert page.subheader[0].value == f"{left} images selected"


def test_a_selection_is_kept_as_a_column_and_compared_with_the_rest(monkeypatch, library, tmp_path):
    import shutil

    own = Library.open(shutil.copytree(library.folder, tmp_path / "own.lib"))
    left = HALVES.partition("|")[0]
    page = open_map(monkeypatch, own, lasso=left)
    page.text_input("keep-name").set_value("left half")
    page = button(page, "Keep as column").click().run()
    assert errors(page) == []
    inside = Projection.load(own.cache_folder, own.points()).xy[:, 0] < 0
    kept = Library.open(own.folder).rows["left half"]
    assert (kept.eq("yes").fillna(False).to_numpy(bool) == inside).all()
    page = open_map(monkeypatch, own, lasso=HALVES.partition("add:")[2])
    page = page.selectbox("compare").set_value("left half").run()
    assert errors(page) == []
    assert any("AUC" in each.value or "no word" in each.value for each in page.markdown)
    page = button(page, "Score all images").click().run()
    scores = Library.open(own.folder).rows["selection or left half"].to_numpy(float)
    assert scores[~inside].mean() > scores[inside].mean() + 0.2


def test_words_colour_what_matches_and_nothing_else(monkeypatch, library):
    scores = np.linspace(0.2, 0.4, 5)
    hits = SimpleNamespace(rows=np.arange(5), scores=scores)
    monkeypatch.setattr(colouring.state, "library", lambda: library)
    warm = heat("a face", hits)
    assert warm.title == "Cosine with “a face”" and warm.names is None
    assert np.isfinite(warm.codes).tolist() == [True] * 5 + [False] * (N - 5)
    assert (np.diff(warm.codes[:5]) > 0).all()
    assert heat("a face", SimpleNamespace(rows=np.arange(0), scores=scores[:0])) is None


def test_words_that_match_nothing_leave_the_colours(monkeypatch, library):
    colours = scene_of(open_map(monkeypatch, library, find="a smiling face"))["colours"]
    matching = library.search("a smiling face", N, min_score="auto")
    assert (colours["title"] == "Cosine with “a smiling face”") == bool(len(matching))


def test_a_sheet_has_the_images_in_the_order_of_the_map(monkeypatch, library):
    from PIL import Image

    scene = scene_of(open_map(monkeypatch, library))
    assert scene["atlas"]["sheets"] == f"/sheets/{library.cache_key}/{{sheet}}"
    monkeypatch.setattr(atlas.state, "library", lambda: library)
    places = Projection.load(library.cache_folder, library.points())
    monkeypatch.setattr(atlas, "layout", lambda: places)
    content, whole = atlas.sheet(0)
    drawn = Image.open(io.BytesIO(content))
    row = int(z_order(places.xy)[9])  # the second tile of the second row
    tile = np.asarray(drawn.crop((64, 64, 128, 128)), float)
    own = np.asarray(library.open_image(row).resize((64, 64)), float)
    assert np.abs(tile - own).mean() < 12
    assert whole and (library.cache_folder / "atlas" / "0.webp").exists()
    assert atlas.sheet(0) == (content, True)
    with pytest.raises(IndexError):
        atlas.sheet(1)


def test_a_path_becomes_a_video(monkeypatch, library):
    monkeypatch.setattr(panel, "FRAMES", 8)
    page = open_map(monkeypatch, library, path="-0.3,0;0,0.1;0.3,0")
    assert errors(page) == []
    assert len(page.get("video")) == 1
    assert any("ex.edits.interpolate" in code.value for code in page.code)


PLACE = pytest.param({"click": "0.01,0.02"}, "place.png", id="place")
ROW = pytest.param({"click": "0,0", "row": "3"}, "place.png", id="row")
PATH = pytest.param({"path": "-0.3,0;0,0.1;0.3,0"}, "path.mp4", id="path")


@pytest.mark.parametrize(("address", "name"), [PLACE, ROW, PATH])
def test_a_place_and_a_path_are_the_same_downloaded_in_python_and_as_a_command(
    monkeypatch, library, tmp_path, address, name
):
    monkeypatch.setattr(panel, "FRAMES", 8)
    offers = offered(monkeypatch, "map", library.folder, **address)
    assert len(set(three_ways(monkeypatch, tmp_path, name, offers[name]))) == 1


def test_a_place_and_a_region_are_offered_together(monkeypatch, library, tmp_path):
    for module in (panel, page_map):
        found = [Region("faces", (0.0, 0.0), np.arange(5))]
        monkeypatch.setattr(module, "regions", lambda found=found: found)
    address = {"click": "0.01,0.02", "region": "faces"}
    assert errors(open_map(monkeypatch, library, **address)) == []
    offers = offered(monkeypatch, "map", library.folder, **address)
    assert set(offers) == {"place.png", "region.png"}
    assert len(set(three_ways(monkeypatch, tmp_path, "region.png", offers["region.png"]))) == 1


def test_what_was_chosen_is_let_go(monkeypatch, library):
    page = open_map(monkeypatch, library, lasso="-9,-9;9,-9;9,9;-9,9", find="cat")
    page = button(page, "Clear").click().run()
    assert [each.value for each in page.subheader] == []
    assert page.query_params == {}


@pytest.mark.parametrize("name", ["click", "lasso", "path"])
@pytest.mark.parametrize("value", ["", "x", "1", "nan,1", "1,2,3", "1e99,0", ";;;", "1,2;3"])
def test_an_address_that_makes_no_sense_shows_the_map(monkeypatch, library, name, value):
    page = open_map(monkeypatch, library, **{name: value})
    assert errors(page) == []
    assert scene_of(page)["lasso"] == scene_of(page)["path"] == []


def test_a_row_that_is_not_there_is_a_place(monkeypatch, library):
    page = open_map(monkeypatch, library, click="0,0", row="9999999")
    assert errors(page) == []
    assert captions(page)[0] == "decoded"


# ---- the parts


def test_a_star_encloses_its_points_but_not_its_pentagon():
    angles = np.pi / 2 + np.arange(5) * 4 * np.pi / 5
    star = list(zip(np.cos(angles), np.sin(angles), strict=True))
    inside = rows_within(star, np.array([[0, 0], [0, 0.8], [0.9, 0.9]]))
    assert inside.tolist() == [1]


@given(st.integers(0, 2**32 - 1))
def test_a_lasso_agrees_with_matplotlib(seed):
    from matplotlib.path import Path

    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))  # around the middle, so that nothing crosses
    border = rng.uniform(0.2, 1, (9, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    xy = rng.uniform(-1, 1, (50, 2))
    expected = np.flatnonzero(Path(border).contains_points(xy))
    assert rows_within(list(map(tuple, border)), xy).tolist() == expected.tolist()


def test_stops_of_a_path_are_equally_far_apart():
    line = [(0.0, 0.0), (1.0, 0.0), (1.0, 2.0), (4.0, 2.0)]
    stops = along(line, 7)
    assert stops[0].tolist() == [0, 0] and stops[-1].tolist() == [4, 2]
    np.testing.assert_allclose(stops, [[0, 0], [1, 0], [1, 1], [1, 2], [2, 2], [3, 2], [4, 2]])


def crowded(folder, **columns):
    """A library of 120 small images in three crowds, and their places."""
    (folder / "images").mkdir()
    for number in range(120):
        (folder / "images" / f"{number:03}.png").write_bytes(image(number))
    group = np.repeat([0, 1, 2], [60, 36, 24])
    table = {name: [words[g] for g in group] for name, words in columns.items()}
    table["file"] = [f"{number:03}.png" for number in range(120)]
    library = Library.create(folder / "crowds.lib", coloured())
    run(library, [folder / "images"], ColourEncoder(), columns=pd.DataFrame(table))
    middles = np.array([[0, 0], [9, 0], [0, 9]])
    return library, middles[group] + np.random.default_rng(0).normal(0, 0.4, (120, 2))


def test_regions_are_where_points_crowd_and_are_called_by_what_tells_them_apart(tmp_path):
    captions = ["a red cat on a photo", "the dog, a photo", "a photo"]
    library, xy = crowded(tmp_path, caption=captions, keywords=["cat", "dog", "vehicle, car"])
    regions = map_regions(library, xy)
    assert [region.words for region in regions][:2] == ["cat", "dog"]
    assert regions[2].words in {"car", "vehicle", "vehicle car"}
    for region, middle in zip(regions, ([0, 0], [9, 0], [0, 9]), strict=True):
        assert np.hypot(*np.subtract(region.middle, middle)) < 0.5
        assert (xy == region.middle).all(axis=1).any(), "a label stands at one of its images"


def test_a_label_that_tells_nothing_is_left_out(tmp_path):
    """Once a crowd was called by the likeliest of its words, whether it told it apart or not."""
    words = ["a photo"] * 3
    library, xy = crowded(tmp_path, caption=words)
    assert map_regions(library, xy) == []


def test_without_captions_and_without_the_model_there_is_a_map_and_a_sentence(tmp_path):
    library, xy = crowded(tmp_path)
    with collecting() as notes:
        assert map_regions(Library.open(library.folder), xy) == []
    assert "The regions have no names" in notes[0]


def test_words_that_the_model_guessed_end_in_a_question_mark(monkeypatch, tmp_path):
    """The page said candle and lantern of groceries, as if it knew."""
    library, xy = crowded(tmp_path)
    names = {0: "candle", 1: None, 2: "lantern"}
    monkeypatch.setattr("explorer.regions.crowds.name_regions", lambda *_: names)
    assert [region.words for region in map_regions(library, xy)] == ["candle?", "lantern?"]


def test_regions_are_found_once_for_a_map(tmp_path, monkeypatch):
    library, xy = crowded(tmp_path, caption=["a red cat", "the dog", "a car"])
    found = map_crowds(library, xy)
    monkeypatch.setattr(kept, "crowds", lambda *_: pytest.fail("they are looked for again"))
    again = map_crowds(Library.open(library.folder), xy)
    assert len(found.members) == 3 and found.regions
    np.testing.assert_equal([*map(vars, again.regions)], [*map(vars, found.regions)])
    np.testing.assert_equal(again.members, found.members)


def test_the_command_takes_the_regions_that_the_dashboard_found(tmp_path, monkeypatch):
    """It named them anew, for which it loaded the model where there are no captions."""
    library, xy = crowded(tmp_path, caption=["a red cat", "the dog", "a car"])
    Projection(library.points(), xy.astype(np.float32)).save(library.cache_folder)
    xy = Projection.cached(library.cache_folder, library.points()).xy
    words = [region.words for region in map_crowds(library, xy).regions]
    again = "sklearn.cluster.HDBSCAN"
    monkeypatch.setattr(again, lambda **_: pytest.fail("they are looked for again"))
    told = CliRunner().invoke(
        cli.unclip, ["map", str(library.folder), "-o", str(tmp_path / "m.html"), "--json"]
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["regions"] == words


@pytest.mark.parametrize("change", ["damage", "rows", "place"])
def test_regions_that_do_not_fit_are_found_again(tmp_path, change):
    library, xy = crowded(tmp_path, caption=["a red cat", "the dog", "a car"])
    found = map_crowds(library, xy)
    file = library.cache_folder / kept.FILE
    if change == "damage":
        file.write_bytes(file.read_bytes()[:-9])
    elif change == "rows":
        write_cache(file, kept._key(library, xy), b'{"members": [[999]], "regions": []}')
    else:
        xy = xy + 1
    with collecting() as notes:
        again = map_crowds(library, xy)
    assert [each.words for each in again.regions] == [each.words for each in found.regions]
    assert again.regions[0].middle in set(map(tuple, xy.tolist()))
    assert [("damaged" in each) for each in notes] == [True] * (change == "damage")


def test_regions_without_names_are_not_kept_where_the_model_is_missing(tmp_path):
    library, xy = crowded(tmp_path)
    for _ in range(2):
        with collecting() as notes:
            assert map_crowds(Library.open(library.folder), xy).regions == []
        assert "The regions have no names" in notes[0]


def test_few_points_have_no_regions():
    assert crowds(np.zeros((3, 2))) == []


def test_smoothing_gives_a_constant_back_and_says_where_nothing_is_near():
    xy = np.random.default_rng(0).uniform(0, 1, (200, 2))
    values, weights = smoothed(xy, np.full(200, 0.3), np.array([[0.5, 0.5], [9.0, 9.0]]))
    assert values[0] == pytest.approx(0.3)
    assert weights.tolist() == pytest.approx([1, 0])


# ---- a library of what was chosen


def test_a_subset_has_the_same_images_vectors_and_columns(library, tmp_path):
    rows = [5, 2, 40]
    folder = write_subset(library, rows, tmp_path / "chosen.lib")
    subset = Library.open(folder)
    assert subset.verify(read_data=True) == []
    np.testing.assert_array_equal(subset.points().vectors, library.points(rows).vectors)
    kept = library.rows.iloc[rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(subset.rows, kept, check_dtype=False)
    assert subset.open_image(1).tobytes() == library.open_image(2).tobytes()
    assert subset.model == library.model and subset.space == library.space


def test_a_subset_of_nothing_or_over_something_is_refused(library, tmp_path):
    with pytest.raises(QueryError, match="at least one row"):
        write_subset(library, [], tmp_path / "none.lib")
    with pytest.raises(LibraryError, match="already"):
        write_subset(library, [0], library.folder)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_what_was_chosen_names_rows_and_columns(library, tmp_path, suffix):
    file = tmp_path / f"chosen{suffix}"
    write_chosen(library, np.array([7, 8]), file)
    table = pd.read_csv(file) if suffix == ".csv" else pd.read_parquet(file)
    assert table["row"].tolist() == [7, 8]
    assert {"item", "caption", "group"} <= set(table)


def test_a_chosen_library_is_a_zip_that_opens(library, tmp_path):
    write_chosen(library, np.array([1, 2]), tmp_path / "chosen.zip")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "chosen.zip").read_bytes())) as packed:
        packed.extractall(tmp_path / "there")
    assert len(Library.open(tmp_path / "there" / "chosen.lib")) == 2


@pytest.mark.parametrize("address", [{"click": "0,0"}, {"path": "0,0;1,1"}, {"row": "3"}])
def test_without_a_decoder_the_map_shows_real_images(monkeypatch, bare, address):
    """Once a click ended with "has no decoder", in red."""
    page = open_page(monkeypatch, "map", bare, **{"click": "0,0", **address})
    assert errors(page) == []
    assert len(captions(page)) >= 6
    assert any("`unclip train bridge" in each.value for each in page.caption)


def test_layers_that_decode_have_a_legend_and_are_offered_where_something_decodes(
    monkeypatch, library, bare
):
    shown = open_page(monkeypatch, "map", library.folder, under=MOSAIC)
    assert LEGENDS[MOSAIC] in [each.value for each in shown.caption]
    page = open_page(monkeypatch, "map", bare)
    (under,) = [each for each in page.selectbox if each.label == "Under the points"]
    assert MOSAIC in LEGENDS and not set(LEGENDS) & set(under.options)
    assert errors(open_page(monkeypatch, "map", bare, under=MOSAIC)) == []


@pytest.fixture(scope="module")
def stranger(bare, emoji_images, tmp_path_factory):
    """A library of the same images in another space: another CLIP's, with a sharper first layer."""
    place = tmp_path_factory.mktemp("stranger")
    shutil.copytree(bare.parent / "clip", place / "clip")
    weights = place / "clip" / "open_clip_model.safetensors"
    state = load_file(weights)
    save_file(state | {"visual.conv1.weight": 1.2 * state["visual.conv1.weight"]}, weights)
    library = Library.create(place / "other.lib", load(f"openclip:{place / 'clip'}", device="cpu"))
    library.add([emoji_images], workers=0)
    return library.folder


def test_another_model_of_the_same_images_judges_round_trips(monkeypatch, emoji, stranger):
    """The decoder's own encoder flatters it; what is of one space with it is no other judge."""
    judged = open_page(monkeypatch, "map", emoji, f"--compare={stranger}", under=JUDGED)
    assert errors(judged) == []
    assert LEGENDS[JUDGED] in [each.value for each in judged.caption]
    for alone in ((), (f"--compare={emoji}",)):
        page = open_page(monkeypatch, "map", emoji, *alone, under=JUDGED)
        assert errors(page) == [] and LEGENDS[JUDGED] not in [c.value for c in page.caption]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (14, 9)])
def test_tiles_of_blocks_come_from_cells_within_them_and_stay(shape):
    """Finer levels decode only what is missing; every cell that is near has a tile in each."""
    near = np.random.default_rng(3).random(shape) < 0.6
    near[0, 0] = True
    before = set()
    for block in BLOCKS:
        level = representatives(near, block)
        assert set(level) == {(y // block, x // block) for y, x in np.argwhere(near).tolist()}
        for at, cell in level.items():
            y, x = divmod(cell, shape[1])
            assert near[y, x] and (y // block, x // block) == at
        assert before <= (before := set(level.values()))
    assert len(before) == near.sum()


@pytest.mark.parametrize("name", [MOSAIC, BLIND])
def test_a_layer_is_shown_coarse_and_then_finer(monkeypatch, emoji, name):
    """The first look at it comes from its first part; the page ends with the whole of it."""
    grounds = []
    shown = page_map.scatter
    monkeypatch.setattr(
        page_map, "scatter", lambda scene, **k: grounds.append(scene.ground) or shown(scene, **k)
    )
    assert errors(open_page(monkeypatch, "map", emoji, under=name)) == []
    looks = list(dict.fromkeys(each.image for each in grounds))
    assert 1 < len(looks) <= len(BLOCKS)
