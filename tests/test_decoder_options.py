"""Options of a decoder, its own scheduler, and redrawing, with a small random network."""

import gc

import numpy as np
import pytest
from PIL import Image
from toy_decoder import TOY, Toy

from explorer.errors import QueryError, SpaceMismatch
from explorer.points import Points, Space
from explorer.settings import Settings

POINTS = Points(2 * np.random.default_rng(0).normal(size=(4, 6)), TOY, "image")


@pytest.fixture
def toy():
    return Toy()


def pixels(images):
    return np.stack([np.asarray(image) for image in images]).astype(int)


def test_options_change_a_copy_that_shares_the_network(toy):
    weaker = toy.with_options(scale=0.2, prompt="words")
    assert (weaker.scale, toy.scale) == (0.2, 1.0)
    assert weaker.network is toy.network
    assert (pixels(weaker.decode(POINTS)) != pixels(toy.decode(POINTS))).any()
    assert (
        pixels(weaker.with_options(scale=1.0).decode(POINTS)) == pixels(toy.decode(POINTS))
    ).all()


def test_a_point_to_keep_away_from_takes_the_place_of_no_point(toy):
    away = toy.with_options(negative=POINTS[3])
    assert (pixels(away.decode(POINTS[:1])) != pixels(toy.decode(POINTS[:1]))).any()
    alone = [pixels(some.decode(POINTS[:1], Settings(guidance=1))) for some in (away, toy)]
    assert (alone[0] == alone[1]).all()
    assert (
        pixels(toy.with_options(negative=None).decode(POINTS)) == pixels(toy.decode(POINTS))
    ).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"noise_level": 3}, "no option 'noise_level'. It has scale: how much the point counts"),
        ({"scale": "much"}, "scale takes a finite number, not 'much'"),
        ({"scale": np.inf}, "finite"),
        ({"prompt": 3}, "words"),
        ({"negative": POINTS}, "one point"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_what_would(given, words, toy):
    with pytest.raises(QueryError, match=words):
        toy.with_options(**given)
    with pytest.raises(SpaceMismatch, match="other"):
        toy.with_options(negative=Points(POINTS.vectors[:1], Space("other", 6, "1a"), "image"))


def test_the_own_scheduler_takes_the_noise_of_every_rows_own_seed(toy):
    """Ancestral sampling is as much a function of the seed as any other."""
    seeds = [3, 1, 4, 1]
    together = pixels(toy.decode(POINTS, Settings(seed=seeds, solver="own")))
    assert (pixels(toy.decode(POINTS, Settings(seed=seeds, solver="own"))) == together).all()
    for i in range(4):
        alone = pixels(toy.decode(POINTS[i], Settings(seed=seeds[i], solver="own")))
        assert np.abs(alone[0] - together[i]).max() <= 1
    same = pixels(toy.decode(POINTS[[0, 0]], Settings(seed=[1, 2], solver="own")))
    assert (same[0] != same[1]).any()


def test_a_family_may_do_a_step_of_its_own_scheduler_itself(toy):
    asked = []

    class Watched(Toy):
        def own_step(self, scheduler, output, index, latents, generators):
            asked.append((index, len(generators)))
            return super().own_step(scheduler, output, index, latents, generators)

    list(Watched().decode(POINTS[:2], Settings(solver="own", steps=3)))
    assert asked == [(0, 2), (1, 2), (2, 2)]


def drawn(value):
    noisy = np.random.default_rng(value).integers(-30, 30, (16, 16, 3)) + value
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("solver", ["ddim", "dpm", "unipc", "own"])
def test_redrawing_goes_from_the_image_to_what_the_point_says(toy, solver):
    before = pixels([drawn(200)])
    far = []
    for strength in (0.2, 0.6, 1.0):
        redrawn = toy.redraw(
            [drawn(200)], POINTS[:1], Settings(strength=strength, steps=10, solver=solver)
        )
        far.append(np.abs(pixels(redrawn) - before).mean())
    assert far[0] < far[1] < far[2]
    if solver != "own":
        whole = toy.redraw(
            [drawn(200)], POINTS[:1], Settings(strength=1.0, steps=10, solver=solver)
        )
        free = toy.decode(POINTS[:1], Settings(steps=10, solver=solver))
        assert (pixels(whole) == pixels(free)).all()


def test_redrawing_takes_one_image_or_point_for_all_the_others(toy):
    many = pixels(toy.redraw([drawn(90)], POINTS, Settings(strength=0.5, seed=2)))
    one = pixels(toy.redraw([drawn(90)], POINTS[3], Settings(strength=0.5, seed=2)))
    assert np.abs(many[3] - one[0]).max() <= 1
    several = toy.redraw([drawn(90), drawn(180)], POINTS[0], Settings(strength=0.5))
    assert len(list(several)) == 2
    with pytest.raises(QueryError, match="2 images, 4 points"):
        toy.redraw([drawn(90)] * 2, POINTS)
    with pytest.raises(QueryError, match="leaves no step to do"):
        toy.redraw([drawn(90)], POINTS, Settings(strength=0.05, steps=8))


def test_what_the_inpainting_network_reads_comes_with_both_sides_row_by_row(toy):
    asked = []

    class WithNetwork(Toy):
        def inpainting_condition(self, images, masks):
            return {"mask": self._latents([mask.convert("RGB") for mask in masks])}

        def predict(self, latents, t, condition):
            asked.append(condition["mask"])
            return super().predict(latents, t, condition)

    masks = [Image.new("L", (16, 16), level) for level in (10, 20, 30, 40)]
    list(WithNetwork().inpaint([drawn(90)], masks, POINTS, Settings(steps=2)))
    first = asked[0][:, 0, 0, 0] * 127.5 + 127.5
    assert first.round().tolist() == [10, 20, 30] * 2
    assert len(asked[-1]) == 2
    asked.clear()
    with pytest.raises(KeyError):
        list(WithNetwork().decode(POINTS[:1], Settings(steps=2)))


def test_closing_a_redrawing_frees_what_it_held(toy):
    images = toy.redraw([drawn(90)], POINTS, Settings(strength=0.5))
    next(images)
    images.close()
    del images
    gc.collect()
    assert [seen() for seen in toy.seen] == [None]


def test_a_first_look_takes_at_most_eight_steps(toy):
    assert toy.preview_steps <= 8
    look = toy.decode(POINTS[:1], Settings(steps=toy.preview_steps, solver=toy.preview_solver))
    assert next(look).size == toy.image_size
