"""A recipe makes the same images again, from what is written in a file alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy_decoder import SHAPE, TOY, Toy

from explorer.errors import QueryError, WeightsMissing
from explorer.noise import Noise
from explorer.points import Points
from explorer.recipe import Recipe, storable


def points(n, seed=0):
    vectors = 5 * np.random.default_rng(seed).normal(size=(n, TOY.dimension))
    return Points(vectors, TOY, "image", tuple("abcdefgh"[:n]))


def recipe(way, n=3, **changes):
    settings = {"steps": 3, "guidance": 2.0, "eta": 0.0, "solver": "ddim", "count": 5}
    if way == "points":
        settings["count"] = n
    given = {"model": "toy", "decoder": "toy", "way": way, "stops": points(n), **settings}
    return Recipe(**(given | changes))


IMAGE = Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3))
MASK = Image.fromarray(np.eye(16, dtype=np.uint8) * 200)
RECIPES = {
    "points": recipe("points"),
    "a seed each": recipe("points", seeds=(4, 5, 6)),
    "rotate": recipe("rotate", n=2, radians=0.7, seeds=(3,)),
    "through": recipe("through"),
    "eta": recipe("points", eta=0.6),
    "fixed noise": recipe("through", noise=storable(Noise.random([9], SHAPE))),
    "options": recipe("points", options={"scale": 0.5, "prompt": "words"}),
    "redrawn": recipe("points", image=IMAGE, strength=0.4),
    "painted": recipe("points", image=IMAGE, mask=MASK, seeds=(2,)),
    "noise that turns": recipe("through", noise=storable(Noise.random([1, 2, 3], SHAPE))),
}


def frames_of(some):
    return [np.asarray(image) for image in some.frames(Toy())]


@pytest.mark.parametrize("some", RECIPES.values(), ids=RECIPES)
def test_a_recipe_written_and_read_gives_the_same_pixels(some):
    again = Recipe.from_dict(json.loads(json.dumps(some.to_dict())))
    first, second = frames_of(some), frames_of(again)
    assert len(first) == some.count
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("way", ["rotate", "through"])
def test_a_path_starts_at_its_first_stop_with_the_first_stops_noise(way):
    noise = storable(Noise.random([1, 2], SHAPE)) if way == "through" else None
    path = recipe(way, n=2, radians=0.7, noise=noise)
    alone = recipe("points", n=1, stops=path.stops[0], noise=noise and noise[0])
    assert np.abs(frames_of(path)[0].astype(int) - frames_of(alone)[0]).max() <= 1


def test_noises_turn_at_the_pace_of_the_points():
    noise = storable(Noise.random([1, 2, 3], SHAPE))
    path = recipe("through", noise=noise, count=201)
    rows = path._noise_of_frames().latents
    halfway = np.abs(rows - noise.latents[1]).mean(axis=(1, 2, 3)).argmin()
    nearest = (path.points.unit @ path.stops[1].unit[0]).argmax()
    assert abs(int(halfway) - int(nearest)) <= 1


def test_stops_that_are_one_point_can_be_walked_with_their_noises():
    same = Points.concat([points(1), points(1)])
    path = recipe("through", stops=same, noise=storable(Noise.random([1, 2], SHAPE)))
    assert len(frames_of(path)) == path.count


def test_a_redrawing_is_as_strong_as_the_recipe_says():
    for strength in (0.4, 0.9):
        some = recipe("points", image=IMAGE, strength=strength)
        given = {"strength": strength, "steps": 3, "guidance": 2.0}
        expected = [np.asarray(frame) for frame in Toy().redraw([IMAGE], some.points, **given)]
        np.testing.assert_array_equal(frames_of(some), expected)


def test_options_that_are_images_points_or_pairs_are_kept():
    options = {"hint": IMAGE, "negative": points(1), "image_size": (32, 16), "prompt": "a cat"}
    some = replace(RECIPES["points"], options=options)
    again = Recipe.from_dict(json.loads(json.dumps(some.to_dict()))).options
    assert again["hint"].tobytes() == IMAGE.tobytes()
    assert (again["negative"].vectors == points(1).vectors).all()
    assert (again["image_size"], again["prompt"]) == ((32, 16), "a cat")


def test_a_recipe_of_an_older_version_is_still_read():
    some = RECIPES["points"]
    values = some.to_dict()
    for name in ("decoder_from", "options", "image", "mask", "strength"):
        del values[name]
    np.testing.assert_array_equal(frames_of(Recipe.from_dict(values)), frames_of(some))


def test_other_weights_are_refused():
    with pytest.raises(WeightsMissing, match="fingerprint"):
        replace(RECIPES["points"], decoder="another").frames(Toy())


@pytest.mark.parametrize(
    "harm",
    [
        lambda values: values.pop("stops"),
        lambda values: values.update(unclip=99),
        lambda values: values.update(labels=["one too few"]),
        lambda values: values["stops"].update(data="not base 85 \x00"),
        lambda values: values["stops"].update(shape=[7, 7]),
        lambda values: values.update(space=["toy"]),
    ],
)
def test_a_recipe_that_was_changed_is_one_clear_error(harm):
    values = RECIPES["points"].to_dict()
    harm(values)
    with pytest.raises(QueryError, match="recipe"):
        Recipe.from_dict(values)
