"""A map grows: what is on it stays bitwise, what is new lands among its neighbours."""

import numpy as np
import pytest

from explorer.cache_files import write_cache
from explorer.notes import collecting
from explorer.points import Points, Space
from explorer.projection import FILE_NAME, Projection
from explorer.projection.growth import digests, same_rows
from explorer.projection.saved import Names

SPACE = Space("toy", 24, "0f")
FEW = {"epochs": 60, "neighbours": 10}


def clusters(n: int, seed: int, centre: int | None = None) -> Points:
    """Six clusters of directions, or one of others."""
    centres = np.random.default_rng(0).normal(size=(12, 24))
    rng = np.random.default_rng(seed)
    which = np.arange(n) % 6 if centre is None else np.full(n, centre)
    return Points(centres[which] + 0.35 * rng.normal(size=(n, 24)), SPACE, "image")


OLD, NEW = clusters(300, seed=1), clusters(60, seed=2)
BOTH = Points.concat([OLD, NEW])


def test_old_points_stay_bitwise_and_new_ones_land_in_their_cluster(tmp_path):
    old = Projection.cached(tmp_path, OLD, **FEW)
    grown = Projection.cached(tmp_path, BOTH, **FEW)
    assert np.array_equal(grown.xy[:300], old.xy)
    assert grown.placed.tolist() == [False] * 300 + [True] * 60
    apart = np.linalg.norm(grown.xy[300:, None] - old.xy, axis=2)
    nearest = apart.argsort(axis=1)[:, :5]
    assert (nearest % 6 == (np.arange(60) % 6)[:, None]).mean() > 0.95


def test_the_new_points_of_one_place_do_not_hide_each_other(tmp_path):
    Projection.cached(tmp_path, OLD, **FEW)
    grown = Projection.cached(tmp_path, BOTH, **FEW)
    assert len(np.unique(grown.xy, axis=0)) == 360


def test_a_grown_map_is_read_again_and_grows_again(tmp_path):
    Projection.cached(tmp_path, OLD, **FEW)
    grown = Projection.cached(tmp_path, BOTH, **FEW)
    again = Projection.load(tmp_path, BOTH, **FEW)
    assert np.array_equal(again.xy, grown.xy) and np.array_equal(again.placed, grown.placed)
    more = Points.concat([BOTH, clusters(12, seed=3)])
    third = Projection.cached(tmp_path, more, **FEW)
    assert np.array_equal(third.xy[:360], grown.xy) and third.placed.sum() == 72


def test_order_and_rows_that_left_do_not_matter(tmp_path):
    old = Projection.cached(tmp_path, OLD, **FEW)
    order = np.random.default_rng(0).permutation(300)[:250]
    points = Points.concat([NEW[:20], OLD[order]])
    assert np.array_equal(Projection.cached(tmp_path, points, **FEW).xy[20:], old.xy[order])


def test_growing_from_the_same_map_gives_the_same_map(tmp_path):
    old = Projection.fit(OLD, **FEW)
    assert np.array_equal(old.grown(BOTH).xy, old.grown(BOTH).xy)


def test_refit_lays_the_map_out_again(tmp_path):
    Projection.cached(tmp_path, OLD, **FEW)
    fresh = Projection.cached(tmp_path, BOTH, refit=True, **FEW)
    assert fresh.placed is None
    assert np.array_equal(fresh.xy, Projection.fit(BOTH, **FEW).xy)


@pytest.mark.parametrize("settings", [{**FEW, "seed": 1}, {**FEW, "min_dist": 0.3}])
def test_a_map_of_other_settings_does_not_grow(tmp_path, settings):
    Projection.cached(tmp_path, OLD, **FEW)
    assert Projection.cached(tmp_path, BOTH, **settings).placed is None


def test_a_map_of_too_few_of_the_points_does_not_grow(tmp_path):
    Projection.cached(tmp_path, OLD[:100], **FEW)
    assert Projection.cached(tmp_path, BOTH, **FEW).placed is None


def test_images_that_have_no_place_on_the_map_are_told(tmp_path):
    """Random directions are near to no cluster, and have no neighbours that a plane could keep."""
    Projection.cached(tmp_path, OLD, **FEW)
    noise = np.random.default_rng(7).normal(size=(200, 24))
    with collecting() as notes:
        points = Points.concat([OLD, Points(noise, SPACE, "image")])
        drifted = Projection.cached(tmp_path, points, **FEW)
    assert drifted.drift() > 0.03 and len(notes) == 1 and "--refit" in notes[0]


def test_images_like_those_on_the_map_are_not_told(tmp_path):
    Projection.cached(tmp_path, OLD, **FEW)
    with collecting() as notes:
        grown = Projection.cached(tmp_path, BOTH, **FEW)
    assert abs(grown.drift()) < 0.03 and notes == []


def test_a_file_of_before_is_read_and_grows(tmp_path):
    """It held coordinates only, under the same key."""
    old = Projection.fit(OLD, **FEW)
    content = old.xy.astype("<f4").tobytes()
    write_cache(tmp_path / FILE_NAME, Names(OLD).key(old.parameters), content)
    assert np.array_equal(Projection.load(tmp_path, OLD, **FEW).xy, old.xy)
    grown = Projection.cached(tmp_path, BOTH, **FEW)
    assert np.array_equal(grown.xy[:300], old.xy) and grown.placed.sum() == 60


def test_copies_of_one_image_keep_a_place_each():
    copies = OLD[np.zeros(3, int)]
    assert same_rows(digests(copies), digests(Points.concat([copies, copies]))).tolist() == [
        *(0, 1, 2, -1, -1, -1)
    ]


def test_vectors_that_differ_in_one_bit_are_other_points():
    vectors = OLD.vectors.copy()
    vectors.view(np.uint32)[np.arange(300), np.arange(300) % 24] ^= 1
    assert (same_rows(digests(OLD), digests(OLD.with_vectors(vectors))) == -1).all()
