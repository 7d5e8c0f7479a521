"""Siblings: drawings of one glyph in several styles, by which pocket's CLIP learns style."""

from itertools import groupby

import numpy as np
import pytest
import torch
from PIL import Image

from pocket import longer
from pocket.batches import BATCH, HANDS, SIBLINGS, Batch, Batches
from pocket.data import STYLES, Glyph, Images


@pytest.fixture(scope="module")
def batches(sample):
    files = sorted((sample / STYLES[0]).iterdir())[:60]
    glyphs = [
        Glyph(file.stem.upper(), f"thing {i}", (f"word {i}",), file.stem.upper(), 0, 4)
        for i, file in enumerate(files)
    ]
    pixels, own, styles = [], [], []
    for style in STYLES:
        for glyph, file in zip(glyphs, files, strict=True):
            image = Image.open(sample / style / file.name).convert("RGB").resize((64, 64))
            pixels.append(np.asarray(image))
            own.append(glyph)
            styles.append(style)
    images = Images(np.stack(pixels), own, styles)
    return Batches(images, {glyph.hexcode: i for i, glyph in enumerate(glyphs)})


def test_siblings_come_first_undisguised_and_their_texts_tell_them_apart(batches):
    batch = batches.draw(np.random.default_rng(0), "cpu")
    n = batch.siblings
    assert len(batch.rows) == len(set(batch.rows)) == BATCH and 0 < n <= SIBLINGS * HANDS
    assert not batch.disguised[:n].any() and batch.disguised[n:].any()
    for _, group in groupby(range(n), lambda i: batch.names[i]):
        own = list(group)
        assert len(own) == len({batch.styles[i] for i in own}) == HANDS
        np.testing.assert_array_equal(batch.fits[own][:, own], np.eye(HANDS))


def test_style_blind_points_cost_the_logarithm_of_the_hands_and_telling_ones_nothing():
    names, n = ["cat"] * 4 + ["dog"] * 4, 8
    rows, pixels = np.arange(n), torch.zeros(n, 3, 2, 2)
    shared = (["a"] * n, torch.eye(n), list(STYLES) * 2, names, np.zeros(n, bool), n)
    batch = Batch(rows, pixels, pixels, *shared)
    points = torch.eye(n)
    scale = torch.tensor(50.0)
    blind = torch.eye(2).repeat_interleave(4, 0)
    assert longer.told_apart(points, points, batch, scale) < 1e-6
    assert longer.told_apart(blind, blind, batch, scale) == pytest.approx(np.log(4))
