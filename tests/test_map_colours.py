"""Colours of a map: what each kind of column becomes, and what its legend says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.projection.colours import Colours, agreement, by_values, shades, telling, written


def test_columns_have_colours_by_their_kind():
    kinds = {
        "number": pd.Series([-5e6, *np.linspace(3, 900, 300), 1e6]),
        "score": pd.Series(np.linspace(0.1, 0.9, 100)),
        "day": pd.Series(pd.date_range("2020-01-01", periods=100).strftime("%Y-%m-%d")),
        "cluster": pd.Series([0, 1, 2, 1] * 25),
        "name": pd.Series(["a", "b", None, "b"] * 25),
    }
    found = {name: by_values(name, series) for name, series in kinds.items()}
    assert found["score"].ends == ("0", "1")
    assert found["day"].ends == ("2020-01-01", "2020-04-09")
    assert found["number"].ends == ("≤ 9", "≥ 894"), "an outlier takes no colour from the others"
    assert set(found["cluster"].names) == {"0", "1", "2"}
    assert found["name"].names == ("b", "a", None)


def test_what_tells_neighbours_apart_comes_first():
    rng = np.random.default_rng(0)
    near = np.arange(400) ^ 1  # neighbours are 2 k and 2 k + 1
    group = Colours("group", (np.arange(400) // 100).astype(np.uint8), ("a", "b", "c", "d"))
    noise = Colours("noise", rng.integers(0, 4, 400).astype(np.uint8), ("a", "b", "c", "d"))
    ramp = Colours("ramp", np.linspace(0, 1, 400).astype(np.float32))
    assert agreement(group, np.arange(400), near) == 1
    assert abs(agreement(noise, np.arange(400), near)) < 0.2
    assert agreement(ramp, np.arange(400), near) > 0.99


def test_years_are_written_as_years():
    """Once the legend's ends said 1.95e+03 and 1.99e+03."""
    years = by_values("year", pd.Series(np.arange(1950, 1990)))
    assert years.ends == ("1950", "1989") and years.scale == (1950, 1989)
    many = by_values("year", pd.Series([1066, *range(1950, 2100), 9999]))
    assert many.ends == ("≤ 1950", "≥ 2099")


def test_whole_numbers_are_numbers_where_some_are_missing():
    """A library keeps them as objects then; once they were taken for categories."""
    given = pd.Series([1950 + i if i % 7 else None for i in range(60)], dtype=object)
    years = by_values("year", given)
    assert years.names is None
    assert np.array_equal(years.codes, given.astype(float), equal_nan=True)
    few = by_values("cluster", pd.Series([3, 1, None, 3], dtype=object))
    assert few.names == ("3", "1", None)
    assert by_values("few", pd.Series([3.0, 1.0, np.nan, 3.0])).names == ("3", "1", None)


@pytest.mark.parametrize("odd", ["many", True])
def test_a_column_of_more_than_numbers_is_of_categories(odd):
    mixed = by_values("mixed", pd.Series([*range(60), odd], dtype=object))
    assert mixed.names is not None and mixed.names[-1] is None


def test_values_stay_what_they_are():
    """Once what was pointed at was read back from a rounded place among the colours."""
    numbers = np.array([1, 2, 3.25, 1e6, np.nan, np.inf, 123456789.5])
    found = shades("size", numbers)
    assert np.frombuffer(found.content(), np.float64)[[0, 2, 3, 6]].tolist() == [
        1, 3.25, 1e6, 123456789.5
    ]  # fmt: skip
    assert np.isnan(found.codes[[4, 5]]).all()


def test_a_column_without_a_number_has_no_colour():
    assert np.isnan(shades("nothing", np.full(3, np.nan)).codes).all()


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_what_is_written_is_near_and_plain(value, span):
    text = written(value, span)
    assert "e" not in text and abs(float(text) - value) <= span / 100


def test_telling_columns_are_found_by_their_neighbours():
    rng = np.random.default_rng(0)
    xy = rng.uniform(size=(300, 2))
    rows = pd.DataFrame(
        {"left": np.where(xy[:, 0] < 0.5, "yes", "no"), "any": rng.normal(size=300)}
    )
    scores = telling(rows.assign(same="a"), ["left", "any", "same"], xy)
    assert scores["left"] > 0.8 > 0.3 > abs(scores["any"]) and "same" not in scores
