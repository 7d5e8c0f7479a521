from itertools import chain

import numpy as np
import pytest
from coloured import dataset
from PIL import ImageColor

from analysis.dataset import Dataset
from analysis.questions import binding
from analysis.scenes import COLOURS, CONTROLS, KINDS, SIDE, pairs
from explorer.library import Library


def colour_at(image, x, y):
    return image.getpixel((round(x * SIDE), round(y * SIDE)))


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_a_kind_are_all_different(kind):
    drawn = pairs(kind, 1000)
    told = list(chain(*(pair.captions for pair in drawn)))
    assert len({frozenset(pair.captions) for pair in drawn}) == len(drawn) >= 48
    assert all(pair.images[0].tobytes() != pair.images[1].tobytes() for pair in drawn[:5])
    assert [pair.captions for pair in pairs(kind, 3)] == [pair.captions for pair in drawn[:3]]
    assert not any(caption.startswith("a o") for caption in told)


@pytest.mark.parametrize("kind", ["above and below", "left and right", "attributes"])
def test_captions_of_a_swap_hold_the_same_words(kind):
    for one, other in (pair.captions for pair in pairs(kind, 20)):
        assert one != other
        assert sorted(one.split()) == sorted(other.split())


def test_things_are_where_the_caption_says():
    for pair in pairs("above and below", 5):
        for caption, image in zip(pair.captions, pair.images, strict=True):
            _, upper, _, _, _, _, _, lower, _ = caption.split()
            assert colour_at(image, 0.48, 0.32) == ImageColor.getrgb(COLOURS[upper])
            assert colour_at(image, 0.48, 0.72) == ImageColor.getrgb(COLOURS[lower])
    for pair in pairs("left and right", 5):
        left, right = pair.captions[0].split()[1], pair.captions[0].split()[8]
        assert colour_at(pair.images[0], 0.24, 0.52) == ImageColor.getrgb(COLOURS[left])
        assert colour_at(pair.images[0], 0.72, 0.52) == ImageColor.getrgb(COLOURS[right])


def test_choices_by_hand():
    # images in rows, captions in columns: image 0 takes its own caption, image 1 does not;
    # caption 0 takes its own image, caption 1 finds both alike, which is wrong
    answers = binding.chosen(np.array([[[0.9, 0.5], [0.8, 0.5]]]))
    assert answers["caption of an image"].tolist() == [True, False]
    assert answers["image of a caption"].tolist() == [True, False]


def test_who_does_not_see_the_difference_of_images_is_right_in_half():
    rng = np.random.default_rng(0)
    blind = np.repeat(rng.normal(size=(20, 1, 2)), 2, axis=1)
    assert binding.chosen(blind)["caption of an image"].mean() == 0.5
    assert binding.chosen(np.ones((3, 2, 2)))["image of a caption"].sum() == 0


def test_decodes_are_compared_with_both_scenes_of_their_pair():
    asked = pairs("left and right", 2)
    scenes = [image.resize((64, 64)) for pair in asked for image in pair.images]
    assert binding.kept(asked, scenes).all()
    assert not binding.kept(asked, [scenes[1], scenes[0], scenes[3], scenes[2]]).any()


def test_without_a_decoder_the_section_asks_the_encoder(tmp_path):
    section = binding.section(dataset(tmp_path, each=1, count=16))
    table = section.tables["Choosing one of two"]
    assert table["kind"].tolist() == [*KINDS, *KINDS]
    assert table["n"].tolist() == [8] * 12
    assert set(table["chance"]) == {0.5}
    assert "has no decoder" in section.finding
    assert all(kind in section.finding for kind in CONTROLS)


def test_pocket_tells_colours_apart_and_draws_both_scenes(tmp_path, pocket, sample, monkeypatch):
    library = Library.create(tmp_path / "lib", pocket)
    library.add(sorted((sample / "noto").glob("*.png"))[:1], workers=0)
    monkeypatch.setattr(binding, "BOUND", ("counts",))  # decoding takes long
    section = binding.section(Dataset(library, pocket, count=40))
    table = section.tables["Choosing one of two"].set_index(["kind", "choose"])
    assert table.loc[("colour", "the image of a caption"), "low (95 %)"] > 0.5
    decoded = section.tables["Decodes that look more like their own scene"]
    assert decoded["kind"].tolist() == ["all", "counts"]
    assert decoded["n"].tolist() == [2, 2]
    assert "One pair a kind, decoded" in section.figures
