"""The judge's laws that need no weights, and the draft that it is to judge."""

import numpy as np
import pytest
import torch

from explorer.geometry import rotate
from explorer.models.shared.painter import Painter
from explorer.points import Points, Space
from pocket import judge, painting, refining


class Grey:
    """A judge that sees an image as its mean colour."""

    def features(self, pixels):
        mean = pixels.reshape(len(pixels), -1, 3).mean(1)
        return mean, mean


def test_an_image_is_named_by_its_nearest_drawings_but_not_of_a_style_left_out():
    colours = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [240, 30, 30]], np.uint8)
    pixels = np.broadcast_to(colours[:, None, None], (4, 8, 8, 3)).copy()
    styles = np.array(["flat", "flat", "flat", "line"])
    gallery = judge.Gallery(Grey(), pixels, np.array(["red", "green", "blue", "red"]), styles)
    assert gallery.named(pixels, gallery.glyphs, 1).all()
    assert not gallery.named(pixels, np.roll(gallery.glyphs, 1), 1)[1:].any()
    without = gallery.named(pixels[:2], gallery.glyphs[:2], 1, np.array(["flat", "flat"]))
    assert without.tolist() == [True, False]


def test_blur_takes_sharpness():
    noise = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    falling = [judge.sharpness(judge.blurred(noise, radius)) for radius in (0.5, 2, 8)]
    assert (np.diff(falling, axis=0) < 0).all()


def test_training_turns_points_as_an_edit_does():
    rng, space = np.random.default_rng(0), Space("s", 16, "0f")
    points, aims = (rng.standard_normal((5, 16)).astype(np.float32) for _ in range(2))
    right = rotate(Points(points, space, "image"), Points(aims, space, "text"), fraction=0.3)
    made = painting.turn(points, aims, np.full((5, 1), 0.3))
    assert made == pytest.approx(right.vectors, abs=1e-5)


def test_the_draft_is_an_image_as_latents_and_learns_from_all_its_losses():
    painter = Painter(16, 48)
    made = painter(torch.randn(2, 16))
    assert made.shape == (2, 48, 16, 16)
    pixels = torch.nn.functional.pixel_shuffle(made, 4)
    loss = painting.loss(pixels, torch.rand(2, 3, 64, 64), lambda x: [x.mean(1, keepdim=True)] * 4)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in painter.parameters())


def test_a_layer_reads_another_space_through_the_map_between_them():
    rng = np.random.default_rng(0)
    new = rng.standard_normal((400, 8)).astype(np.float32)
    old = new @ rng.standard_normal((8, 6)).astype(np.float32) + 0.5
    layer = torch.nn.Linear(6, 4)
    with torch.no_grad():
        wanted = layer(torch.from_numpy(old))
        refining.read_through(layer, new, old)
        assert layer(torch.from_numpy(new)).sub(wanted).abs().max() < 0.1 * wanted.std()
