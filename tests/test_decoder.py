"""Decoding, tracing, inversion and in-painting with a small random network."""

import gc

import numpy as np
import pytest
import torch
from PIL import Image
from toy_decoder import SHAPE, TOY, Toy

from explorer.decoder import Noise
from explorer.errors import QueryError, SideMismatch, SpaceMismatch
from explorer.points import Points, Space
from explorer.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def toy():
    return Toy()


@pytest.fixture
def points():
    vectors = np.random.default_rng(0).normal(size=(5, 6)) * 2
    return Points(vectors, TOY, "image", tuple("abcde"))


def latents(steps):
    *_, last = steps
    return last.latents.numpy()


def pixels(images):
    return np.stack([np.asarray(i) for i in images])


def far(a, b):
    return np.abs(a.astype(int) - b).max()


@pytest.mark.parametrize("solver", ["ddim", "dpm", "unipc"])
def test_the_same_call_gives_the_same_images(toy, points, solver):
    first, second = (pixels(toy.decode(points, Settings(solver=solver))) for _ in range(2))
    assert first.shape == (5, 16, 16, 3)
    assert (first == second).all()
    eta = [pixels(toy.decode(points, Settings(seed=4, eta=1.0))) for _ in range(2)]
    assert (eta[0] == eta[1]).all()


@pytest.mark.parametrize(
    ("eta", "solver"), [(0.0, "ddim"), (1.0, "ddim"), (0.0, "dpm"), (0.0, "unipc")]
)
def test_a_frame_does_not_depend_on_the_batch_it_was_computed_in(toy, points, eta, solver):
    seeds, knobs = [3, 1, 4, 1, 5], {"eta": eta, "solver": solver}
    toy.batch_size = 5
    together = latents(toy.trace(points, Settings(seed=seeds, **knobs)))
    for i in range(5):
        alone = latents(toy.trace(points[i], Settings(seed=seeds[i], **knobs)))
        assert np.abs(alone[0] - together[i]).max() <= 1e-5
    toy.batch_size = 2
    assert (
        np.abs(latents(toy.trace(points, Settings(seed=seeds, **knobs))) - together).max() <= 1e-5
    )
    expected = pixels(toy.to_image(torch.tensor(together)))
    assert far(pixels(toy.decode(points, Settings(seed=seeds, **knobs))), expected) <= 1


def test_one_seed_starts_every_frame_from_the_same_noise(toy, points):
    same = points[[2, 2, 2, 2]]
    frames = latents(toy.trace(same, Settings(seed=7, eta=0.8)))
    assert np.abs(frames - frames[0]).max() <= 1e-5
    one, many = (latents(toy.trace(points, Settings(seed=seed))) for seed in (7, [7] * 5))
    assert (one == many).all()


def test_another_seed_gives_another_image(toy, points):
    same = points[[2, 2]]
    for eta in (0.0, 1.0):
        a, b = latents(toy.trace(same, Settings(seed=[1, 2], eta=eta)))
        assert np.abs(a - b).max() > 0.1


def test_eta_alone_varies_a_image_around_fixed_noise(toy, points):
    noise = Noise.random([0], SHAPE)
    still = latents(toy.trace(points[[0, 0]], Settings(seed=[1, 2]), noise=noise))
    assert np.abs(still[0] - still[1]).max() <= 1e-5
    moving = latents(toy.trace(points[[0, 0]], Settings(seed=[1, 2], eta=0.5), noise=noise))
    assert np.abs(moving[0] - moving[1]).max() > 0.1


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_giving_the_noise_of_a_seed_changes_nothing(toy, points, eta):
    noise = Noise.random([9], SHAPE)
    given = latents(toy.trace(points, Settings(seed=9, eta=eta), noise=noise))
    assert (given == latents(toy.trace(points, Settings(seed=9, eta=eta)))).all()


def test_noise_may_have_one_row_a_point(toy, points):
    noise = Noise.random(range(5), SHAPE)
    every = latents(toy.trace(points, noise=noise))
    assert (every == latents(toy.trace(points, Settings(seed=range(5))))).all()


def test_images_come_in_order_and_as_soon_as_their_batch_is_done(toy, points):
    images = toy.decode(points)
    assert toy.calls == 0
    next(images)
    assert toy.calls == toy.steps  # one batch of three, both sides of guidance in one call
    assert len(list(images)) == 4
    assert toy.calls == 2 * toy.steps
    alone = pixels(next(toy.decode(points[i])) for i in range(5))
    assert far(pixels(toy.decode(points)), alone) <= 1


def test_closing_the_iterator_stops_the_work_and_frees_the_latents(toy, points):
    images = toy.decode(points)
    next(images)
    images.close()
    del images
    gc.collect()
    assert toy.calls == toy.steps
    assert [seen() for seen in toy.seen] == [None]


def test_tracing_shows_every_step_and_ends_where_decoding_does(toy, points):
    steps = list(toy.trace(points, Settings(steps=6)))
    assert [step.index for step in steps] == [1, 2, 3, 4, 5, 6]
    assert all(step.latents.shape == step.estimate.shape == (5, *SHAPE) for step in steps)
    ends = pixels(toy.to_image(steps[-1].latents))
    assert far(ends, pixels(toy.decode(points, Settings(steps=6)))) <= 1


def test_guidance_of_one_leaves_the_unconditional_side_out(toy, points):
    asked = []
    toy.network.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[2]))
    list(toy.decode(points[:2], Settings(guidance=1, steps=2)))
    assert all((z == torch.tensor(points.vectors[:2])).all() for z in asked)
    asked.clear()
    list(toy.decode(points[:2], Settings(guidance=2, steps=2)))
    assert all(len(z) == 4 and (z[:2] == 0).all() for z in asked)


def test_the_network_is_given_the_decoders_own_precision(toy, points):
    toy.dtype = "bfloat16"
    toy.network.to(torch.bfloat16)
    toy.condition = lambda p: ({"z": torch.tensor(p.vectors, dtype=torch.bfloat16)},) * 2
    assert len(list(toy.decode(points))) == 5


def smooth_images(n):
    rng = np.random.default_rng(3)
    small = rng.integers(40, 215, size=(n, 4, 4, 3), dtype=np.uint8)
    return [Image.fromarray(s).resize((16, 16), Image.Resampling.BICUBIC) for s in small]


def test_inversion_and_decoding_give_the_images_back(toy, points):
    images = smooth_images(5)
    noise = toy.invert(images, points, Settings(steps=50))
    assert noise.latents.shape == (5, *SHAPE)
    again = pixels(toy.decode(points, Settings(steps=50, guidance=1), noise=noise))
    assert far(again, pixels(images)) <= 1
    other = pixels(toy.decode(points[::-1], Settings(steps=50, guidance=1), noise=noise))
    assert far(other, pixels(images)) > 20


def left_half(size=(16, 16)):
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return mask


@pytest.mark.parametrize("solver", ["ddim", "dpm", "unipc", "own"])
def test_in_painting_changes_what_is_masked_and_nothing_else(toy, points, solver):
    codec = toy.to_latent
    toy.to_latent = lambda given: 0.9 * codec(given)  # loses contrast, as real codecs lose detail
    images, masks = smooth_images(5), [left_half().rotate(90 * i) for i in range(5)]
    painted = pixels(toy.inpaint(images, masks, points, Settings(solver=solver)))
    where, before = pixels(masks) > 0, pixels(images)
    assert (painted[~where] == before[~where]).all()
    assert (painted[where] != before[where]).any(axis=-1).mean() > 0.9


def test_in_painting_sees_what_is_around_the_mask(toy, points):
    whole = Image.new("1", (16, 16), 1)
    dark, light = (Image.new("RGB", (16, 16), (v, v, v)) for v in (10, 245))
    halves = pixels(toy.inpaint([dark, light], [left_half()], points[0], Settings(guidance=1)))
    assert (halves[0, :, :8] != halves[1, :, :8]).any()
    full = pixels(toy.inpaint([dark, light], [whole], points[0], Settings(guidance=1)))
    assert (full[0] == full[1]).all()
    assert (full[0] == pixels(toy.decode(points[0], Settings(guidance=1)))[0]).all()


def test_in_painting_takes_one_image_mask_or_point_for_all_the_others(toy, points):
    image = smooth_images(1)
    many = pixels(toy.inpaint(image, [left_half()], points, Settings(seed=2)))
    one = pixels(toy.inpaint(image, [left_half()], points[4], Settings(seed=2)))
    assert many.shape == (5, 16, 16, 3)
    assert far(many[4], one[0]) <= 1
    seeds = pixels(toy.inpaint(image * 2, [left_half()], points[0], Settings(seed=[1, 2])))
    assert (seeds[0] != seeds[1]).any()


def test_a_image_of_another_size_comes_back_at_the_decoders(toy, points):
    (painted,) = toy.inpaint([Image.new("RGB", (48, 32))], [left_half((48, 32))], points[0])
    assert painted.size == (16, 16)


def test_a_mask_that_fits_no_image_is_refused_before_anything_runs(toy, points):
    images = smooth_images(2)
    with pytest.raises(QueryError, match="8 × 8 pixels and its image 16 × 16"):
        toy.inpaint(images, [left_half((8, 8))] * 2, points[:2])
    with pytest.raises(QueryError, match="all black"):
        toy.inpaint(images, [np.zeros((16, 16), bool)], points[:2])
    with pytest.raises(QueryError, match="Cannot broadcast 2 images, 3 masks, 1 points"):
        toy.inpaint(images, [left_half()] * 3, points[:1])
    with pytest.raises(QueryError, match="0 images"):
        toy.inpaint([], [left_half()], points[:1])


def test_points_that_are_not_for_this_decoder_are_refused_at_the_call(toy, points):
    other = Points(points.vectors, Space("other", 6, "1a"), "image")
    for call in (toy.decode, toy.trace, lambda p: toy.invert(smooth_images(5), p)):
        with pytest.raises(SpaceMismatch, match=r'toy .*other .*load\("toy-model"\)\.encoder'):
            call(other)
        text = Points(points.vectors, TOY, "text")
        with pytest.raises(SideMismatch, match=r"prior\.sample"):
            call(text)
    assert len(list(toy.decode(text.as_image()))) == 5


def test_normalised_points_are_refused_with_the_length_to_restore(toy, points):
    toy.norms = (11.2, 0.9)
    with pytest.raises(QueryError, match=r"length 1, .* near 11\.2.*points\.unit \* 11\.2"):
        toy.decode(points.with_vectors(points.unit))
    with pytest.raises(QueryError, match="length 112"):
        toy.decode(points.with_vectors(points.unit * 112))
    assert len(list(toy.decode(points.with_vectors(points.unit * 11.2)))) == 5
    assert len(list(toy.decode(points.with_vectors(points.unit * 4)))) == 5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(seed=[1, 2]), r"Cannot broadcast 2 seeds with 5 points.*points\[\[0\] \* n\]"),
        (Settings(steps=1001), "1001 steps"),
    ],
)
def test_settings_that_do_not_fit_are_refused_at_the_call(toy, points, settings, words):
    for call in (toy.decode, toy.trace):
        with pytest.raises(QueryError, match=words):
            call(points, settings)
    assert toy.calls == 0


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (Noise.random([1, 2], SHAPE), r"5 \(or 1, for all\) × 3 × 16 × 16"),
        (Noise.random([1], (4, 16, 16)), "3 × 16 × 16"),
    ],
)
def test_noise_of_another_shape_is_refused_at_the_call(toy, points, noise, words):
    for call in (toy.decode, toy.trace):
        with pytest.raises(QueryError, match=words):
            call(points, noise=noise)
    assert toy.calls == 0


def test_inversion_refuses_images_that_do_not_match_the_points(toy, points):
    with pytest.raises(QueryError, match="2 images, 5 points"):
        toy.invert(smooth_images(2), points)


def test_a_fast_family_still_takes_eta(toy, points):
    toy.solver = "dpm"
    for eta, solver in [(0.0, "dpm"), (0.5, "ddim")]:
        named = pixels(toy.decode(points, Settings(eta=eta, solver=solver)))
        assert (pixels(toy.decode(points, Settings(eta=eta))) == named).all()
