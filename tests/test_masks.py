"""Masks: every way to say where to paint, and what a latent cell makes of it."""

import numpy as np
import pytest
from PIL import Image

from explorer.errors import QueryError
from explorer.masks import as_grey, paste, touched

IMAGE = Image.new("RGB", (8, 4))


def test_every_kind_of_mask_says_the_same():
    where = np.zeros((4, 8), bool)
    where[1:3, 2:5] = True
    kinds = [where, where.astype(np.uint8) * 255, where.astype(np.float32), where.astype(float)]
    kinds += [
        Image.fromarray(where),
        Image.fromarray(kinds[1]),
        Image.fromarray(kinds[1]).convert("RGB"),
    ]
    for kind in kinds:
        assert (np.asarray(as_grey(kind, IMAGE)) == kinds[1]).all()


@pytest.mark.parametrize("size", [64, 512, 50, 16, 10])
def test_one_touched_pixel_touches_every_cell_that_it_overlaps(size):
    for x, y in [(0, 0), (size - 1, size // 2), (size // 3, size - 1)]:
        mask = Image.new("L", (size, size))
        mask.putpixel((x, y), 1)
        cells = touched(mask, 16, 16)
        expected = np.zeros((16, 16), bool)
        top, left = (c * 16 // size for c in (y, x))
        bottom, right = (-(-(c + 1) * 16 // size) for c in (y, x))
        expected[top:bottom, left:right] = True
        assert (cells == expected).all()


def test_pasting_keeps_what_is_black_and_blends_what_is_grey():
    new, old = Image.new("RGB", (3, 1), (200, 0, 0)), Image.new("RGB", (3, 1), (0, 100, 0))
    mask = Image.fromarray(np.array([[0, 128, 255]], np.uint8))
    black, grey, white = (paste(new, old, mask).getpixel((x, 0)) for x in range(3))
    assert black == (0, 100, 0)
    assert white == (200, 0, 0)
    assert grey == pytest.approx((100, 50, 0), abs=1)


def test_a_mask_of_another_size_or_all_black_is_refused():
    with pytest.raises(QueryError, match="4 × 8 pixels and its image 8 × 4"):
        as_grey(np.ones((8, 4), bool), IMAGE)
    with pytest.raises(QueryError, match="Paint white where"):
        as_grey(Image.new("L", (8, 4)), IMAGE)
