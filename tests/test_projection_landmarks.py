"""Maps of more points than UMAP fits: landmarks first, the others among them."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from explorer.points import Points, Space
from explorer.projection import Projection, fitting
from explorer.projection.fitting import among

SPACE = Space("toy", 24, "0f")
QUICK = {"epochs": 60, "neighbours": 10}


def clusters(n: int) -> Points:
    centres = np.random.default_rng(0).normal(size=(12, 24))
    rng = np.random.default_rng(1)
    return Points(centres[np.arange(n) % 12] + 0.35 * rng.normal(size=(n, 24)), SPACE, "image")


@pytest.fixture(scope="module")
def maps():
    """A map of 1,200 points that UMAP fitted whole, and one of 600 landmarks."""
    points = clusters(1200)
    whole = Projection.fit(points, **QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "MAX_WHOLE_POINTS", 1000)
        patch.setattr(fitting, "LANDMARKS", 600)
        return points, whole, Projection.fit(points, **QUICK), Projection.fit(points, **QUICK)


def test_a_map_from_landmarks_is_nearly_as_trustworthy(maps):
    points, whole, landed, _ = maps
    found = [trustworthiness(points.unit, m.xy, n_neighbors=10) for m in (whole, landed)]
    assert found[1] > found[0] - 0.02
    drawn = np.random.default_rng(0).permutation(whole.xy)
    assert trustworthiness(points.unit, drawn, n_neighbors=10) < 0.6


def test_the_same_seed_chooses_the_same_landmarks(maps):
    assert np.array_equal(maps[2].xy, maps[3].xy)


def test_points_have_places_of_their_own(maps):
    assert len(np.unique(maps[2].xy, axis=0)) == 1200


def test_a_point_between_two_clusters_lies_in_one():
    xy = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1], [50, 50], [50, 51], [51, 50]], np.float32)
    (place,) = among(xy, np.full((1, 7), 0.9, np.float32), np.arange(7)[None])
    assert np.abs(place).max() <= 1


def test_the_order_of_neighbours_does_not_matter():
    rng = np.random.default_rng(3)
    xy, rows = rng.normal(size=(40, 2)).astype(np.float32), rng.permutation(40)[None, :15]
    cosines, order = rng.uniform(0.5, 0.9, (1, 15)).astype(np.float32), rng.permutation(15)
    first, second = among(xy, cosines, rows), among(xy, cosines[:, order], rows[:, order])
    assert np.allclose(first, second, atol=1e-6)
