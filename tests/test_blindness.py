"""What a model is blind to: images unlike its training images, cut texts, names nobody knows."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from explorer import cli, edits
from explorer.errors import UnknownModel
from explorer.library import Library
from explorer.models import MODELS, load, module_of, same_model, support_of
from explorer.models.shared.blindness import FILE, read_support, unlike, write_support
from explorer.models.shared.short_names import SHORT_NAMES, long_name, no_decoder
from explorer.notes import collecting
from explorer.points import Points, Space
from explorer.regions import name_regions
from explorer.support import Support


def unclip(*words):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words])


def test_pocket_ships_points_of_its_own_weights_and_knows_emoji(pocket, sample):
    files = sorted(sample.rglob("*.png"))[:60]
    points = pocket.encoder.encode_images(list(map(str, files)))
    assert pocket.support.outside(points).mean() < 0.2
    assert unlike(pocket.support, points) == ""
    assert support_of("pocket", Space("pocket", 256, "other weights")) is None


def test_a_sample_of_training_points_survives_its_file(tmp_path):
    space = Space("plane", 3, "0f")
    cloud = Points(np.random.default_rng(0).normal((9, 0, 0), 1, (200, 3)), space, "image")
    support = Support.fit(cloud)
    write_support(tmp_path / FILE, support)
    read = read_support(tmp_path / FILE, space)
    assert read.outside(cloud).tolist() == support.outside(cloud).tolist()
    far = cloud[:1].with_vectors(np.array([[-9.0, 0, 0]]))
    assert read.outside(far).all() and "This image is unlike" in unlike(read, far)
    assert read_support(tmp_path / FILE, Space("plane", 3, "1f")) is None
    assert read_support(tmp_path / "none", space) is None


def photograph(file, seed):
    """A picture without a white ground: a gradient with noise."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 200, 96)[:, None, None] * rng.random(3)
    noise = rng.integers(0, 50, (96, 128, 3))
    Image.fromarray((slope + noise).clip(0, 255).astype(np.uint8)).save(file)
    return file


def test_photographs_are_said_to_be_unlike_emoji_at_every_door(pocket, sample, tmp_path):
    for i in range(20):
        photograph(tmp_path / f"{i}.png", i)
    kept = tmp_path / "p.lib"
    made = unclip("index", tmp_path, "--library", kept, "--model", "pocket")
    for answer in (made, unclip("info", kept), unclip("search", kept, "a dog")):
        assert answer.exit_code == 0
        assert "These 20 images are unlike the emoji" in answer.stderr
    library = Library.open(kept)
    with collecting() as notes:
        assert set(name_regions(library, np.arange(20) % 2).values()) == {None}
    assert notes == [
        "The regions have no names: there are no captions, and pocket, which would choose the "
        "words, was not trained on such images."
    ]
    emoji = tmp_path / "e.lib"
    made = unclip("index", sample / "flat", "--library", emoji, "--model", "pocket")
    assert "unlike" not in made.stderr
    asked = unclip("search", emoji, tmp_path / "1.png")
    assert "This image is unlike the emoji" in asked.stderr
    drawings = sorted((sample / "flat").glob("*.png"))[:20]
    points = pocket.encoder.encode_images(list(map(str, drawings)))
    inside = drawings[np.flatnonzero(~pocket.support.outside(points))[0]]
    assert "unlike" not in unclip("search", emoji, inside).stderr
    with collecting() as notes:
        edits.variations(pocket, tmp_path / "1.png", count=1)
    assert "This image is unlike the emoji" in notes[0]


def test_a_text_over_the_context_length_is_said_to_be_cut(pocket):
    with collecting() as notes:
        pocket.encoder.encode_text(["a red heart", "zebra " * 60])
    assert len(notes) == 1 and "reads the first 32" in notes[0]
    with collecting() as notes:
        pocket.encoder.encode_text(["a red heart on a white ground"])
    assert notes == []


@pytest.mark.parametrize("text", ["猫", "кошка", "собака на пляже", "🐱", "zxqvkrtpw"])
def test_words_that_pocket_does_not_have_are_named(pocket, text):
    with collecting() as notes:
        pocket.encoder.encode_text([text])
    assert len(notes) == 1 and "pocket has no such words" in notes[0]


@pytest.mark.parametrize("text", ["a dog on a beach", "fox", "axe", "SC", "10:30"])
def test_words_that_pocket_has_are_not(pocket, text):
    with collecting() as notes:
        pocket.encoder.encode_text([text])
    assert notes == []


def test_short_names_are_names():
    assert same_model("vit-b-32", "openclip:ViT-B-32/laion2b_s34b_b79k")
    for name, short in SHORT_NAMES.items():
        assert long_name(name) == short.model
        assert all(decoder in MODELS for decoder in short.decoders)
        assert bool(no_decoder(short.model)) == (not short.decoders)
    assert "vit-l-14-openai" in unclip("models").stdout


def test_a_decoder_that_reads_a_short_name_says_the_same_space():
    for short in SHORT_NAMES.values():
        for decoder in short.decoders:
            assert module_of(decoder).card()["space"] == short.model


def test_a_mistyped_name_or_tag_gets_its_nearest():
    with pytest.raises(UnknownModel, match="Did you mean 'vit-b-32'"):
        load("vit-b32")
    with pytest.raises(UnknownModel, match="Did you mean 'laion2b_s34b_b79k'"):
        load("openclip:ViT-B-32/laion2b_s34b_b79")
