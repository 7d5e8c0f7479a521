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


def test_every_image_stands_beside_its_point_but_for_edits_and_disguises(material):
    pixels, points = material.draw(np.random.default_rng(1), COUNT)
    assert len(pixels) == len(points) == COUNT
    own = np.isclose(points, seen(pixels), atol=1e-3).all(1)
    start, edited = (round(painting.SHARES[kind] * COUNT) for kind in ("own", "edited"))
    mixed = round(painting.SHARES["mixed"] * COUNT)
    assert own[:start].all() and not own[start : start + edited].any()
    assert own[start + edited : start + edited + mixed].all()
    disguised = own[start + edited + mixed :]
    assert 0 < disguised.mean() < 1  # not all of them are moved


def test_what_is_held_out_is_never_drawn(material):
    for seed in range(5):
        pixels, _ = material.draw(np.random.default_rng(seed), COUNT)
        assert (pixels.mean((1, 2, 3)) > 165).all()


def test_points_of_moved_drawings_are_to_give_what_stands_in_its_place(material):
    rows = np.arange(HELD, N)
    wanted, shown = material.disguised(rows, np.random.default_rng(2))
    assert wanted.dtype == shown.dtype == np.uint8
    assert wanted.shape == shown.shape == material.pixels[rows].shape
    ground = (material.pixels[rows] == 255).all(-1)
    assert ((wanted > 250).all(-1) == ground).all(), "a drawing was moved"
    assert (wanted != material.pixels[rows]).any((1, 2, 3)).mean() > 0.5, "none is coloured"
    assert 0.4 < (shown != wanted).any((1, 2, 3)).mean() < 0.7
