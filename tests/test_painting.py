"""What pocket's draft learns from: which images it sees, and that each stands beside its point."""

import numpy as np
import pytest

from pocket import painting
from pocket.data import Glyph
from pocket.disguise import Rules

N, HELD, COUNT = 60, 20, 40


def seen(pixels):
    """The point of an image, for want of an encoder: its mean colour."""
    return pixels.mean((1, 2)).astype(np.float32) + 1


@pytest.fixture(scope="module")
def material():
    """Grey drawings of one style; those that are held out are black."""
    rng = np.random.default_rng(0)
    pixels = np.full((N, 64, 64, 3), 255, np.uint8)
    pixels[:, 16:48, 16:48] = rng.integers(60, 200, (N, 1, 1, 3))
    pixels[:HELD] = 0
    weights = np.where(np.arange(N) < HELD, 0, 1 / (N - HELD))
    glyphs = [Glyph(f"{i:X}", f"thing {i}", (), f"{i:X}", 0, 0) for i in range(N)]
    named = rng.normal(size=(N, 3)).astype(np.float32)
    return painting.Material(
        pixels, seen(pixels), named, weights, {"flat": np.arange(HELD, N)}, np.array(["flat"] * N),
        pixels[HELD:], seen(pixels[HELD:]), Rules.of(glyphs), seen,
    )  # fmt: skip


def test_every_image_stands_beside_its_point_but_for_edits(material):
    pixels, points = material.draw(np.random.default_rng(1), COUNT)
    assert len(pixels) == len(points) == COUNT
    own = np.isclose(points, seen(pixels), atol=1e-3).all(1)
    edited = round(painting.SHARES["edited"] * COUNT)
    assert (~own).sum() == edited
    start = round(painting.SHARES["own"] * COUNT)
    assert not own[start : start + edited].any()


def test_what_is_held_out_is_never_drawn(material):
    for seed in range(5):
        pixels, _ = material.draw(np.random.default_rng(seed), COUNT)
        assert (pixels.mean((1, 2, 3)) > 165).all()


def test_disguised_drawings_are_others_than_the_drawings(material):
    made = material.disguised(np.random.default_rng(2), 30)
    known = material.pixels.reshape(N, -1)
    assert made.dtype == np.uint8 and made.shape[1:] == material.pixels.shape[1:]
    new = [(known != one.ravel()).any(1).all() for one in made]
    assert np.mean(new) > 0.5
