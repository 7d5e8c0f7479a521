"""Settings refuse a wrong name or value where it is written, and travel in recipes whole."""

import json
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_decoder import TOY, Toy

from explorer.cli.options import SETTINGS, settings_options
from explorer.errors import QueryError
from explorer.points import Points
from explorer.recipe import Recipe
from explorer.settings import Settings, seeds_for


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 0}, "from 1 up"),
        ({"steps": 2.5}, "whole number"),
        ({"steps": True}, "whole number"),
        ({"guidance": np.inf}, "finite"),
        ({"guidance": "high"}, "finite"),
        ({"eta": 2}, "between 0"),
        ({"eta": np.nan}, "between 0"),
        ({"eta": 0.5, "solver": "dpm"}, "ddim"),
        ({"solver": "euler"}, "'unipc', 'own'"),
        ({"noise": "white"}, "'inverted', 'seed'"),
        ({"seed": -1}, "whole number from 0"),
        ({"seed": 1.5}, "whole number from 0"),
        ({"seed": 2**32}, "whole number from 0"),
        ({"seed": [1, True]}, "whole number from 0"),
        ({"strength": 0}, "above 0"),
        ({"strength": 1.1}, "up to 1"),
        ({"strength": 0.1, "steps": 5}, "leaves no step to do. Give 0.2 or more"),
        ({"preview": 1}, "True or False"),
        ({"options": ["prompt=x"]}, "dict"),
    ],
)
def test_a_wrong_value_is_one_clear_error(values, words):
    with pytest.raises(QueryError, match=words):
        Settings(**values)
    with pytest.raises(QueryError, match=words):
        Settings().changed(**values)


def test_a_wrong_name_is_an_error_that_lists_the_right_ones():
    with pytest.raises(QueryError, match=r"no setting 'step'.* steps, guidance, eta"):
        Settings().changed(step=3)
    with pytest.raises(TypeError, match="step"):
        Settings(step=3)


def test_settings_do_not_change():
    options = {"prompt": "a cat"}
    settings = Settings(options=options, seed=[1, 2])
    options["prompt"] = "a dog"
    assert settings.options["prompt"] == "a cat"
    with pytest.raises(TypeError):
        settings.options["prompt"] = "a dog"
    with pytest.raises(FrozenInstanceError):
        settings.steps = 3


def test_numbers_of_numpy_are_numbers():
    settings = Settings(steps=np.int64(4), eta=np.float32(0.5), seed=np.arange(3))
    assert settings.seed == (0, 1, 2)
    assert seeds_for(np.uint32(7), 2) == (7, 7)


def unit(low):
    return st.floats(low, 1)


VALID = st.builds(
    Settings,
    steps=st.integers(20, 1000),
    guidance=st.floats(-10, 10),
    eta=unit(0),
    solver=st.just("ddim"),
    seed=st.integers(0, 2**32 - 1) | st.lists(st.integers(0, 2**32 - 1), min_size=1).map(tuple),
    strength=unit(0.1),
    noise=st.sampled_from([None, "inverted", "seed"]),
    options=st.dictionaries(st.text(), st.text() | st.tuples(st.integers(), st.integers())),
)


@given(VALID)
def test_settings_come_back_from_a_recipe(settings):
    points = Points(np.ones((1, 6)), TOY, "image")
    recipe = Recipe(
        model="toy", decoder="toy", way="points", keyframes=points, count=1, settings=settings
    )
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again.settings == settings


@given(st.builds(Settings, preview=st.booleans(), eta=unit(0), steps=st.none() | st.just(9)))
def test_resolving_fills_all_and_keeps_what_was_given(settings):
    for inverted in (False, True):
        full = Toy().resolve(settings, inverted=inverted)
        assert None not in (full.steps, full.guidance, full.solver)
        assert not full.preview
        assert full.eta == settings.eta
        assert settings.steps in (None, full.steps)
        assert Toy().resolve(full, inverted=inverted) == full


def test_an_inversion_resolves_to_more_steps_without_guidance():
    toy, full = Toy(), Toy().resolve(Settings(), inverted=True)
    assert (full.steps, full.guidance, full.solver) == (3 * toy.steps, 1.0, "ddim")


def test_the_repr_shows_what_differs_from_the_defaults_and_makes_it_again():
    settings = Settings(steps=3, seed=(1, 2), options={"prompt": "oil"})
    assert repr(settings) == "Settings(steps=3, seed=(1, 2), options={'prompt': 'oil'})"
    assert eval(repr(settings)) == settings
    assert repr(Settings()) == "Settings()"


def test_every_field_is_an_option_of_the_command_line_with_help():
    assert set(SETTINGS) == {field.name for field in fields(Settings)}
    helps = [kind.__metadata__[0].help for kind in SETTINGS.values()]
    assert all(helps)
    assert len(set(helps)) == len(helps)
    built = settings_options(*SETTINGS)
    given = {name: default for name, (_, default) in built.options.items()}
    assert built.build(**given) == Settings()


def test_settings_are_the_same_in_another_process():
    settings = Settings(steps=3, seed=(1, 2), options={"prompt": "a"})
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings and again.options == {"prompt": "a"}
    with pytest.raises(TypeError):
        again.options["prompt"] = "b"
