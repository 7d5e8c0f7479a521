"""A Rendering decodes when it is looked at, once, and carries its recipe into every file."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer import edits
from explorer.errors import QueryError, UnknownModel, WeightsMissing
from explorer.images import grid, open_image
from explorer.library import Library
from explorer.notes import collecting
from explorer.rendering import Rendering, recipe_values
from explorer.settings import Settings
from explorer.video import read_frames

FAST = Settings(steps=2)
FORMATS = ["mp4", "webm", "webp", "gif", "png", "jpg"]


def new_path(pocket, count=4):
    return edits.interpolate(pocket, ["a cat", "a dog"], frames=count, fps=4, settings=FAST)


@pytest.fixture(scope="module")
def path(pocket):
    """Four frames from a cat to a dog; its frames are kept, so a test decodes nothing again."""
    return new_path(pocket)


@pytest.fixture
def counted(pocket, monkeypatch):
    """How many images the decoder gave, and on which it is to fail."""
    decoder, seen = pocket.decoder, {"images": 0, "fail_at": None}
    decode = type(decoder).decode

    def counting(self, *given):
        for image in decode(self, *given):
            if seen["images"] == seen["fail_at"]:
                raise RuntimeError("out of memory")
            seen["images"] += 1
            yield image

    monkeypatch.setattr(type(decoder), "decode", counting)
    return seen


def stack(images):
    return np.stack([np.asarray(image) for image in images])


def test_nothing_is_decoded_before_it_is_asked_for(pocket, counted):
    rendering = new_path(pocket)
    assert (len(rendering), rendering.points.side, rendering.times.tolist()[-1]) == (4, "image", 1)
    assert counted["images"] == 0
    first = rendering[0]
    assert counted["images"] == 1
    assert rendering[0] is first


def test_a_second_pass_gives_the_same_frames_and_decodes_nothing(pocket, counted):
    rendering = new_path(pocket)
    once = list(rendering)
    assert [a is b for a, b in zip(once, rendering, strict=True)] == [True] * 4
    assert counted["images"] == 4


def test_two_passes_at_a_time_do_not_disturb_each_other(pocket, path):
    rendering = new_path(pocket)
    pairs = list(zip(rendering, rendering, strict=True))
    assert all(a is b for a, b in pairs)
    assert (stack(a for a, _ in pairs) == stack(path)).all()


def test_a_decode_that_failed_can_be_asked_again(pocket, counted, path):
    rendering = new_path(pocket)
    counted["fail_at"] = 2
    with pytest.raises(RuntimeError, match="out of memory"):
        list(rendering)
    counted["fail_at"] = None
    assert (stack(rendering) == stack(path)).all()


def test_slices_and_negative_places_are_those_of_a_list(path):
    frames = list(path)
    for place in (slice(1, 3), slice(None, None, -1), slice(9, 12), slice(-2, None)):
        chosen = path[place]
        assert [a is b for a, b in zip(chosen, frames[place], strict=True)] == [True] * len(chosen)
    assert path[-1] is frames[3]
    with pytest.raises(IndexError):
        path[4]


def test_measures_have_a_row_a_frame(path):
    table = path.measure()
    assert list(table) == ["t", "label", "similarity_start", "similarity_end", "roundtrip"]
    assert len(table) == 4
    assert table["similarity_start"].iloc[0] == pytest.approx(1)
    assert table["similarity_end"].is_monotonic_increasing
    assert table["roundtrip"].between(-1, 1).all()
    seen = path.embed()
    np.testing.assert_allclose(table["roundtrip"], (seen.unit * path.points.unit).sum(1), atol=1e-6)


def test_a_library_adds_its_nearest_items_and_support(path, pocket, emoji):
    library = Library.open(emoji)
    table = path.measure(library)
    assert "support" not in table  # 14 images say nothing about what is usual
    expected = library.search_many(path.points, 1)
    assert [items[0] for items in table["nearest"]] == [hits.items[0] for hits in expected]


def test_images_on_no_path_have_no_ends(pocket):
    table = edits.decode(pocket, "a cat", settings=FAST).measure()
    assert isinstance(table, pd.DataFrame)
    assert list(table) == ["t", "label", "roundtrip"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_of_a_path_carries_the_recipe_and_replays_to_the_same_bytes(
    suffix, path, tmp_path
):
    file = path.save(tmp_path / f"a.{suffix}")
    assert recipe_values(file) == path.recipe.to_dict()
    again = edits.replay(file).save(tmp_path / f"b.{suffix}")
    assert again.read_bytes() == file.read_bytes()
    if suffix in FORMATS[:4]:
        assert len(list(read_frames(file))) == 4


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_independent_images_become_one_image_or_one_sheet(suffix, pocket, tmp_path):
    one = edits.decode(pocket, "a cat", settings=FAST)
    file = one.save(tmp_path / f"one.{suffix}")
    assert open_image(file).size == one[0].size
    if suffix != "jpg":
        assert (np.asarray(open_image(file)) == np.asarray(one[0])).all()
    two = edits.decode(pocket, "a cat", count=2, settings=FAST).save(tmp_path / f"two.{suffix}")
    assert open_image(two).width > 2 * one[0].width
    assert recipe_values(two)["settings"]["seed"] == [0, 1]
    assert edits.replay(two).save(tmp_path / f"b.{suffix}").read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("name", "words"), [("a.txt", r"\.mp4.*\.png"), ("gone/a.mp4", "does not exist")]
)
def test_a_file_that_cannot_be_written_is_refused_before_decoding(
    name, words, pocket, tmp_path, counted
):
    with pytest.raises(QueryError, match=words):
        new_path(pocket).save(tmp_path / name)
    assert counted["images"] == 0
    assert not list(tmp_path.iterdir())


def test_independent_images_are_not_a_video(pocket, tmp_path):
    with pytest.raises(QueryError, match="use one of"):
        edits.decode(pocket, "a cat", settings=FAST).save(tmp_path / "a.mp4")


def test_a_strip_shows_chosen_frames_and_under_them_the_nearest(path, emoji):
    plain, short = path.strip(), path.strip(columns=2)
    assert plain.width > short.width
    assert plain.height == short.height
    assert path.strip(Library.open(emoji)).height > 3 * plain.height


def test_html_shows_the_frames_and_the_settings(path):
    html = path._repr_html_()
    assert html.count("<img") == 4
    assert "a cat → a dog" in html
    assert "steps=2" in html


def test_a_model_without_a_decoder_and_other_weights_are_refused(path, pocket):
    with pytest.raises(UnknownModel, match="no decoder"):
        Rendering(replace(pocket, decoder=None), path.recipe)
    changed = Rendering(pocket, replace(path.recipe, decoder="another"))
    with pytest.raises(WeightsMissing, match="fingerprint"):
        changed[0]


def test_a_file_without_a_recipe_says_so(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    with pytest.raises(QueryError, match="carries no recipe"):
        recipe_values(tmp_path / "plain.png")
    with pytest.raises(QueryError, match="no file"):
        recipe_values(tmp_path / "gone.png")


@pytest.mark.parametrize(("frames", "shown"), [(9, 9), (12, 12), (13, 8)])
def test_a_strip_shows_all_frames_or_says_how_many(pocket, tmp_path, frames, shown):
    keyframes = ["a cat", "a dog"]
    many = edits.interpolate(pocket, keyframes, frames=frames, settings=Settings(steps=1))
    with collecting() as notes:
        many.save(tmp_path / "a strip.png")
    width = open_image(tmp_path / "a strip.png").width
    assert width == grid([Image.new("RGB", (9, 9))] * shown, columns=shown, size=128).width
    told = [f"a strip.png shows {shown} of the {frames} frames"] if shown < frames else []
    assert [note.partition(",")[0] for note in notes] == told
    assert not told or "-o 'a strip.mp4'" in notes[0]
