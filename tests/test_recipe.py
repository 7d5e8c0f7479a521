"""A recipe makes the same images again, from what is written in a file alone."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_decoder import SHAPE, TOY, Toy

from explorer import edits
from explorer.errors import QueryError, WeightsMissing
from explorer.images import grid, open_image
from explorer.noise import Noise
from explorer.points import Points
from explorer.recipe import Recipe, storable
from explorer.settings import Settings
from explorer.video import read_frames


def points(n, seed=0):
    vectors = 5 * np.random.default_rng(seed).normal(size=(n, TOY.dimension))
    return Points(vectors, TOY, "image", tuple("abcdefgh"[:n]))


def recipe(way, n=3, **changes):
    """A recipe; changes that are settings go there."""
    names = {field.name for field in fields(Settings)}
    if "x_t" in changes:  # Settings have a choice of noise, Recipe the noise itself
        changes["noise"] = changes.pop("x_t")
    chosen = {name: changes.pop(name) for name in (names - {"noise"}) & set(changes)}
    settings = Settings(**({"steps": 3, "guidance": 2.0, "solver": "ddim"} | chosen))
    count = n if way == "points" else 5
    given = {"model": "toy", "decoder": "toy", "way": way, "keyframes": points(n), "count": count}
    return Recipe(**(given | {"settings": settings} | changes))


DATA = Path(__file__).parent / "data"
IMAGE = Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3))
MASK = Image.fromarray(np.eye(16, dtype=np.uint8) * 200)
RECIPES = {
    "points": recipe("points"),
    "a seed each": recipe("points", seed=(4, 5, 6)),
    "rotate": recipe("rotate", n=2, radians=0.7, seed=3),
    "through": recipe("through"),
    "eta": recipe("points", eta=0.6),
    "fixed noise": recipe("through", x_t=storable(Noise.random([9], SHAPE))),
    "options": recipe("points", options={"scale": 0.5, "prompt": "words"}),
    "redrawn": recipe("points", image=IMAGE, strength=0.4),
    "inpainted": recipe("points", image=IMAGE, mask=MASK, seed=2),
    "interpolated noise": recipe("through", x_t=storable(Noise.random([1, 2, 3], SHAPE))),
}


def frames_of(some):
    return [np.asarray(image) for image in some.decode(Toy())]


@pytest.mark.parametrize("some", RECIPES.values(), ids=RECIPES)
def test_a_recipe_written_and_read_gives_the_same_pixels(some):
    again = Recipe.from_dict(json.loads(json.dumps(some.to_dict())))
    first, second = frames_of(some), frames_of(again)
    assert len(first) == some.count
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("way", ["rotate", "through"])
def test_a_path_starts_at_its_first_keyframe_with_its_noise(way):
    noise = storable(Noise.random([1, 2], SHAPE)) if way == "through" else None
    path = recipe(way, n=2, radians=0.7, x_t=noise)
    alone = recipe("points", n=1, keyframes=path.keyframes[0], x_t=noise and noise[0])
    assert np.abs(frames_of(path)[0].astype(int) - frames_of(alone)[0]).max() <= 1


def test_noise_is_interpolated_at_the_pace_of_the_points():
    noise = storable(Noise.random([1, 2, 3], SHAPE))
    path = recipe("through", x_t=noise, count=201)
    rows = path._noise_of_frames().latents
    halfway = np.abs(rows - noise.latents[1]).mean(axis=(1, 2, 3)).argmin()
    nearest = (path.points.unit @ path.keyframes[1].unit[0]).argmax()
    assert abs(int(halfway) - int(nearest)) <= 1


def test_keyframes_that_are_one_point_can_be_interpolated_with_their_noise():
    same = Points.concat([points(1), points(1)])
    path = recipe("through", keyframes=same, x_t=storable(Noise.random([1, 2], SHAPE)))
    assert len(frames_of(path)) == path.count


def test_a_redrawing_is_as_strong_as_the_recipe_says():
    for strength in (0.4, 0.9):
        some = recipe("points", image=IMAGE, strength=strength)
        settings = Settings(strength=strength, steps=3, guidance=2.0)
        expected = [np.asarray(frame) for frame in Toy().redraw([IMAGE], some.points, settings)]
        np.testing.assert_array_equal(frames_of(some), expected)


def test_options_that_are_images_points_or_pairs_are_kept():
    options = {"hint": IMAGE, "negative": points(1), "image_size": (32, 16), "prompt": "a cat"}
    some = recipe("points", options=options)
    again = Recipe.from_dict(json.loads(json.dumps(some.to_dict()))).settings.options
    assert again["hint"].tobytes() == IMAGE.tobytes()
    assert (again["negative"].vectors == points(1).vectors).all()
    assert (again["image_size"], again["prompt"]) == ((32, 16), "a cat")


def format_1(some):
    """The values as format 1 wrote them; its oldest files lack the last five."""
    values, settings = some.to_dict(), some.settings
    keyframes = values["keyframes"]
    return {
        **{name: values[name] for name in ("model", "decoder", "way", "count", "radians")},
        **{name: values[name] for name in ("fps", "title", "noise")},
        **{name: getattr(settings, name) for name in ("steps", "guidance", "eta", "solver")},
        "unclip": 1,
        "stops": keyframes["points"],
        "space": keyframes["space"],
        "labels": keyframes["labels"],
        "seeds": [settings.seed] if isinstance(settings.seed, int) else list(settings.seed),
    }


@pytest.mark.parametrize("name", ["points", "a seed each", "through", "rotate", "eta"])
def test_values_of_format_1_are_still_read(name):
    old = json.loads(json.dumps(format_1(RECIPES[name])))
    np.testing.assert_array_equal(frames_of(Recipe.from_dict(old)), frames_of(RECIPES[name]))


@pytest.mark.parametrize("name", ["recipe-1.png", "recipe-1-inpaint.png"])
def test_images_of_format_1_replay_to_the_same_image(name):
    rendering = edits.replay(DATA / name)
    sheet = rendering[0] if len(rendering) == 1 else grid(list(rendering))
    if rendering.is_path:
        sheet = rendering.strip()
    assert_same_but_for_rounding(sheet, open_image(DATA / name))


def assert_same_but_for_rounding(made, kept):
    """Sums are rounded otherwise on other machines; a lossy format makes more of it."""
    off = np.abs(np.asarray(made, int) - np.asarray(kept, int))
    assert off.mean() < 0.1 and off.max() <= 16


def test_an_animation_of_format_1_replays_to_the_same_frames(tmp_path):
    again = edits.replay(DATA / "recipe-1.webp").save(tmp_path / "again.webp")
    old, new = (list(read_frames(file)) for file in (DATA / "recipe-1.webp", again))
    assert len(old) > 1
    assert_same_but_for_rounding(np.stack(old), np.stack(new))


def test_other_weights_are_refused():
    with pytest.raises(WeightsMissing, match="fingerprint"):
        replace(RECIPES["points"], decoder="another").decode(Toy())


@pytest.mark.parametrize(
    "harm",
    [
        lambda values: values.pop("keyframes"),
        lambda values: values.update(unclip=99),
        lambda values: values["keyframes"].update(labels=["one too few"]),
        lambda values: values["keyframes"]["points"].update(data="not base 85 \x00"),
        lambda values: values["keyframes"]["points"].update(shape=[7, 7]),
        lambda values: values["keyframes"].update(space=["toy"]),
        lambda values: values["settings"].update(steps=0),
        lambda values: values.pop("settings"),
    ],
)
def test_a_recipe_that_was_changed_is_one_clear_error(harm):
    values = RECIPES["points"].to_dict()
    harm(values)
    with pytest.raises(QueryError, match="recipe"):
        Recipe.from_dict(values)
