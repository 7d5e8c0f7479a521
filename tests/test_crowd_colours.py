"""Colours of a map by its crowds: every point has that of its crowd, and the legend its words."""

import numpy as np

from explorer.projection.colours import MAX_COLOURS
from explorer.regions.colours import crowd_colours
from explorer.regions.crowds import Region, crowds


def blobs(sizes, noise=0):
    rng = np.random.default_rng(0)
    parts = [
        rng.normal(0, 0.3, (n, 2)) + 20 * np.array([i % 2, i // 2]) for i, n in enumerate(sizes)
    ]
    parts.append(rng.standard_cauchy((noise, 2)) * 40)
    xy = np.concatenate(parts)
    return xy[rng.permutation(len(xy))].astype(np.float32)


def test_every_point_of_a_large_map_has_the_colour_of_its_crowd():
    """Between one and two times the sample, what was not looked at was said to be of no crowd."""
    xy = blobs([7500] * 4)
    colours = crowd_colours(xy, (), crowds(xy))
    assert len(colours.names) - (None in colours.names) == 4
    counts = np.bincount(colours.codes, minlength=4)
    assert counts[:4].min() > 0.98 * 7500


def test_what_lies_in_no_crowd_of_a_small_map_has_no_colour_of_one():
    """Where most points lie alone, each had the colour of the nearest crowd."""
    few = blobs([100, 100], noise=700)
    members = crowds(few)[: MAX_COLOURS - 1]
    assert len(few) > 2 * len(np.concatenate(members)), "most lie in a crowd"
    right = np.full(len(few), len(members))
    for number, rows in enumerate(members):
        right[rows] = number
    assert crowd_colours(few, (), members).codes.tolist() == right.tolist()


def named(words, rows, level=0):
    return Region(words, (0.0, 0.0), rows, 1.0, level)


def test_the_legend_has_the_words_that_the_map_has():
    """Once it said "crowd 1" where the map named the crowd, or what lies within it."""
    xy = blobs([200, 150, 100, 80])
    one, two, three, four = members = crowds(xy)
    finer = [named("plum", two[:20], 1), named("pear?", two[20:60], 1), named("fig", two[60:70], 1)]
    known = [named("tree?", three), *finer, named("nut", one[:5], 1)]
    found = crowd_colours(xy, known, members)
    assert found.names[:4] == ("nut", "pear? · plum", "tree?", "crowd 4")
    for code, rows in enumerate((one, two, three, four)):
        assert set(found.codes[rows]) == {code}


def test_crowds_with_words_come_before_those_without():
    xy = blobs([100] * 25)
    members = crowds(xy)
    last = named("last", members[-1])
    found = crowd_colours(xy, [last], members)
    assert found.names[0] == "last" and found.names[1] == "crowd 1"
    assert set(found.codes[members[-1]]) == {0} and None in found.names
