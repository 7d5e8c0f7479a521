"""Where a decoder of one's own starts: pocket, or a decoder that was trained before."""

import numpy as np
import pytest
import torch
from tiny_trained import random_, tiny_trained

from explorer.errors import QueryError
from explorer.models.pocket import FOLDER
from explorer.models.trained import load_decoder
from explorer.points import Points, Space
from explorer.settings import Settings
from explorer.training.decoder import Design
from explorer.training.decoder_network import Networks
from explorer.training.examples import Examples
from explorer.training.loop import Plan
from explorer.training.starting import start_from

SPACE = Space("tiny", 24, "0f")


def fresh(size, kind="painter", seed=1, **given):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    points = rng.normal(size=(4, SPACE.dimension)).astype(np.float32)
    examples = Examples(pixels, points, np.full(4, 0.25))
    return Networks.fresh(examples, Plan(1, seed=seed), kind=kind, **given)


def repeated(latents, before, after):
    """Latents of the same images, with every pixel repeated."""
    from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle

    images = interpolate(pixel_shuffle(latents, before), scale_factor=after // before)
    return pixel_unshuffle(images, after)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starting") / "small"
    networks = random_(fresh(64, widths=(32, 64)))
    networks.save(folder)
    return networks, folder


def test_one_of_128_pixels_starts_with_the_same_images_larger(small):
    networks, folder = small
    large = fresh(128, seed=2, widths=(32, 64))
    assert start_from(large, folder, same_space=True) == 1
    torch.manual_seed(2)
    z, noisy, t = torch.randn(2, SPACE.dimension), torch.randn(2, 48, 16, 16), torch.tensor([500])
    with torch.inference_mode():
        drafts = networks.draft(z), large.draft(z)
        seen = (
            torch.cat([noisy, drafts[0]], 1),
            torch.cat([repeated(noisy, 4, 8), repeated(drafts[0], 4, 8)], 1),
        )
        made = [
            each.unet(latents, t, None, class_labels=z).sample
            for each, latents in zip((networks, large), seen, strict=True)
        ]
    assert torch.allclose(repeated(drafts[0], 4, 8), drafts[1], atol=2e-2)  # saved as float16
    assert torch.allclose(repeated(made[0], 4, 8), made[1], atol=2e-2)
    assert made[0].std() > 0.1


def test_layers_that_read_the_point_stay_new_in_another_space(small):
    _, folder = small
    other = random_(fresh(64, seed=3, widths=(32, 64)), seed=3)
    before = {k: v.clone() for k, v in other.draft.state_dict().items()}
    middle = other.normalizer.mean.clone()
    share = start_from(other, folder)
    taken = {k for k, v in other.draft.state_dict().items() if not v.equal(before[k])}
    assert {"leave.weight", "enter.weight", "coarse.0.first.weight"} <= taken
    assert not any(name.startswith(("read.", "unfold.")) for name in taken)
    assert other.normalizer.mean.equal(middle)
    assert 0.5 < share < 1


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(("kind", "new"), [("plain", {"conv_out"}), ("painter", set())])
def test_pocket_starts_a_decoder_of_either_size(size, kind, new):
    """All of its UNet, which corrects a draft, but what reads a point, and the output of others."""
    networks = fresh(size, kind)
    before = {k: v.clone() for k, v in networks.unet.state_dict().items()}
    assert 0.1 < start_from(networks, FOLDER) < 1
    kept = [k for k, v in networks.unet.state_dict().items() if v.equal(before[k])]
    assert {name.split(".")[0] for name in kept} == {"class_embedding"} | new


def test_before_its_first_step_a_decoder_decodes_its_draft(tmp_path):
    """So a sheet shows what the draft has learnt while the UNet has learnt nothing."""
    folder = tiny_trained(tmp_path / "made", SPACE, 64, learnt=False)
    decoder = load_decoder(folder, "cpu")
    vectors = 16 / 24**0.5 * np.random.default_rng(0).normal(size=(2, 24)).astype(np.float32)
    points = Points(vectors, SPACE, "image")
    made = decoder.decode(points, Settings(steps=3, guidance=1))
    with torch.inference_mode():
        drafts = decoder.to_image(decoder.condition(points)[0]["draft"])
    for one, other in zip(made, drafts, strict=True):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


def test_a_start_is_a_name_or_a_decoder(tmp_path):
    folder = tiny_trained(tmp_path / "made", SPACE, 32)
    assert Design(64, str(folder)).start == str(folder)
    for wrong in ("karlo", str(tmp_path)):
        with pytest.raises(QueryError, match='"pocket", "none", or a folder'):
            Design(64, wrong)
    with pytest.raises(QueryError, match='"plain" or "painter"'):
        Design(64, draft="pencil")
