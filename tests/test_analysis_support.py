import emoji
import numpy as np
import pandas as pd
import pytest
from coloured import dataset

from analysis import point_sets
from analysis.questions import support
from explorer.errors import QueryError
from explorer.points import Points, Space
from explorer.support import Support

ROOM = Space("room", 5, "0f")


def cloud(n, seed=0):
    return Points(4 + np.random.default_rng(seed).normal(size=(n, 5)), ROOM, "image")


def test_shares_below_and_above_are_counted_strictly():
    assert support.outside(pd.Series([0, 4.9, 5, 95, 95.1])) == (2, 1)


def test_real_points_are_usual_and_opposite_ones_are_not():
    real = cloud(2000)
    groups = {"real": cloud(400, 1), "opposite": real[:50].with_vectors(-real.vectors[:50])}
    table = support.by_place(Support.fit(real), groups).set_index(["points", "measure"])
    for name in support.NAMES.values():
        assert table["low (95 %)"]["real", name] < 0.05 < table["high (95 %)"]["real", name]
        assert table["below 5 %"]["opposite", name] == 1
        assert table["median percentile"]["opposite", name] == 0


def test_what_is_asked_about_is_kept_apart_from_what_judges_it(tmp_path):
    asked, rest = point_sets.split(dataset(tmp_path, seed=2), 5)
    assert len(asked) == 5
    assert sorted([*asked, *rest]) == list(range(24))


def test_half_of_a_small_library_is_left_to_judge_the_other(tmp_path):
    asked, rest = point_sets.split(dataset(tmp_path), 200)
    assert (len(asked), len(rest)) == (8, 16)


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(QueryError, match="30 real points"):
        support.section(dataset(tmp_path))


def test_pocket_tells_random_directions_from_images(tmp_path, pocket, sample):
    section = support.section(emoji.dataset(tmp_path, pocket, sample, count=8))
    table = section.tables["How far out points lie"]
    nearest = table[table["measure"] == support.NAMES["nearest"]].set_index("points")["median"]
    assert list(nearest.index) == [
        "images",
        "half-way between two images",
        "places on the map",
        "words as if an image",
        "words by the prior",
        "random directions",
    ]
    assert nearest["images"] > nearest["random directions"]
    assert len(section.figures) == 3
