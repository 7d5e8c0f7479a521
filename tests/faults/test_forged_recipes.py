"""A forged recipe is refused in one sentence: no traceback, no hang, little memory."""

import json
import resource
from pathlib import Path

import pytest
from forged_recipes import forged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

import explorer
from explorer import edits
from explorer.cli import unclip
from explorer.errors import ExplorerError, QueryError
from explorer.images import save_image
from explorer.recipe import Recipe
from explorer.rendering import Rendering
from explorer.video import write_video

DOG = Path(explorer.__file__).parent / "sample" / "images" / "flat" / "1f436.png"
CARRIERS = ("png", "webp", "gif", "mp4", "webm")


@pytest.fixture(scope="module")
def rendering(pocket):
    made = edits.decode(pocket, DOG, settings=explorer.Settings(steps=1))
    list(made)
    return made


@pytest.fixture(scope="module")
def values(rendering):
    return rendering.recipe.to_dict()


def test_every_forged_recipe_is_refused_or_decodes(values, pocket):
    count, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, recipe in forged(values):
        count += 1
        try:
            frames = list(Rendering(pocket, Recipe.from_dict(recipe)))
        except ExplorerError as error:
            assert "\n" not in str(error), name
            assert len(str(error)) < 1000, name
        else:
            assert len(frames) == 1, name
    assert count >= 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def write(rendering, recipe, file):
    frames = [rendering[0]] * 2
    if file.suffix == ".png":
        save_image(frames[0], file, recipe)
    else:
        write_video(frames, file, recipe=recipe)


@pytest.fixture
def path(values):
    """A path between two points, of 20,000 frames."""
    keys, labels = values["keyframes"], ["a", "b"]
    data, dimension = keys["points"]["data"], keys["points"]["shape"][1]
    two = keys | {"points": {"shape": [2, dimension], "data": data * 2}, "labels": labels}
    return values | {"way": "through", "keyframes": two, "count": 20_000}


@pytest.mark.parametrize("suffix", CARRIERS)
def test_replay_refuses_too_much_work_in_every_carrier(suffix, rendering, path, tmp_path):
    file = tmp_path / f"forged.{suffix}"
    write(rendering, path | {"count": 10**9}, file)
    with pytest.raises(QueryError, match="--limit 10000000000"):
        edits.replay(file)
    words = ["replay", str(file), "-o", str(tmp_path / "again.png")]
    result = CliRunner().invoke(unclip, words)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)


def test_a_person_can_raise_the_limit(path):
    with pytest.raises(QueryError, match="--limit 200000"):
        Recipe.from_dict(path)
    assert Recipe.from_dict(path, limit=200_000).count == 20_000


LEAF = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=9)
FLAT = LEAF | some.lists(LEAF, max_size=3) | some.dictionaries(some.text(), LEAF, max_size=3)
VALUES = FLAT | some.lists(FLAT, max_size=3) | some.dictionaries(some.text(), FLAT, max_size=3)
NAMES = [
    *("unclip", "model", "decoder", "decoder_from", "way", "count", "radians", "fps", "title"),
    *("settings", "image", "mask", "times", "keyframes", "ends", "noise"),
]


def fuzz(values, name, inner, value):
    recipe = json.loads(json.dumps(values))
    if inner is not None and isinstance(recipe[name], dict):
        recipe[name][sorted(recipe[name])[inner % len(recipe[name])]] = value
    else:
        recipe[name] = value
    try:
        Recipe.from_dict(recipe)
    except QueryError as error:
        assert "\n" not in str(error)


ANY = (some.sampled_from(NAMES), some.none() | some.integers(0, 9), VALUES)
QUICK = {"suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@given(*ANY)
@settings(max_examples=100, **QUICK)
def test_any_value_of_a_field_is_taken_or_refused(values, name, inner, value):
    fuzz(values, name, inner, value)


@pytest.mark.slow
@given(*ANY)
@settings(max_examples=20_000, **QUICK)
def test_any_value_of_a_field_is_taken_or_refused_many_times(values, name, inner, value):
    fuzz(values, name, inner, value)
