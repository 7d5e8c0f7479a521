import emoji
import numpy as np
import pytest
from coloured import dataset
from PIL import Image
from toy_decoder import Toy

from analysis.dataset import Absent
from analysis.questions import diffusion
from explorer.noise import Noise
from explorer.points import Points
from explorer.settings import Settings


def alpha(t, steps=1000):
    """ᾱ of the cosine schedule, Nichol & Dhariwal 2021, with β kept below 0.999."""
    f = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999))[t]


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(60, 190, (16, 16, 3), dtype=np.uint8))


def test_levels_are_those_of_the_schedule():
    table = diffusion.levels(Toy())
    assert len(table) == 8
    assert (np.diff(table["t"]) < 0).all()
    np.testing.assert_allclose(table["signal"] ** 2, alpha(table["t"].to_numpy()), rtol=1e-4)
    np.testing.assert_allclose(table["signal"] ** 2 + table["noise"] ** 2, 1)
    ratio = 10 ** (table["signal to noise (dB)"] / 20)
    np.testing.assert_allclose(ratio, table["signal"] / table["noise"])


def test_corruption_mixes_image_and_noise_as_the_level_says(image):
    decoder = Toy()
    level = diffusion.levels(decoder).iloc[5]
    noise = Noise.random([4], decoder.latent_shape).latents[0].transpose(1, 2, 0)
    clean = np.asarray(image, dtype=float) / 127.5 - 1
    mixed = level["signal"] * clean + level["noise"] * noise
    [found] = diffusion.corrupt(decoder, [image], 6, seed=4)
    expected = ((mixed + 1) * 127.5).clip(0, 255)
    np.testing.assert_allclose(np.asarray(found, dtype=float), expected, atol=0.51)


def test_without_a_step_a_image_is_only_coded(image):
    [found] = diffusion.corrupt(Toy(), [image], None)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(image))


@pytest.mark.parametrize("steps", [1, 8, 25, 50, 333])
def test_undoing_starts_at_the_level_that_the_image_was_corrupted_to(steps):
    for left in range(1, steps + 1):
        settings = Settings(steps=steps, solver="ddim", strength=diffusion._strength(left, steps))
        assert settings.skipped_steps == steps - left


def test_the_trace_ends_where_decoding_does():
    decoder = Toy()
    points = Points(np.random.default_rng(0).normal(size=(2, 6)), decoder.space, "image")
    latents, estimates = diffusion._traced(decoder, points, range(2))
    assert len(latents) == len(estimates) == decoder.steps
    for found, expected in zip(
        latents[-1], decoder.decode(points, Settings(seed=range(2))), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_without_a_decoder_it_says_what_is_missing(tmp_path):
    with pytest.raises(Absent, match="--decoder"):
        diffusion.section(dataset(tmp_path))


def test_pocket_undoes_corruption_and_ends_at_a_image(tmp_path, pocket, sample):
    section = diffusion.section(emoji.dataset(tmp_path, pocket, sample, 6, count=12))
    restored = section.tables["Corrupted and restored"]
    assert (restored["cosine, restored"] > restored["cosine, corrupted"]).all()
    assert restored["pixels from the image"].iloc[-1] < restored["pixels from the image"].iloc[0]
    along = section.tables["The reverse process"]
    assert along["pixels from the result"].iloc[-1] < 0.01
    assert len(section.figures) == 3
