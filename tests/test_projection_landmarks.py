"""Maps of more points than UMAP fits: landmarks first, the others among them."""

import pickle

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from explorer.points import Points, Space
from explorer.projection import Projection, fitting
from explorer.projection.fitting import Lists, among, exact

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


def test_whoever_places_the_others_gives_the_same_map(maps, monkeypatch):
    """As actors do: the placer is pickled, parts come and go in order."""
    points, _, landed, _ = maps
    monkeypatch.setattr(fitting, "MAX_WHOLE_POINTS", 1000)
    monkeypatch.setattr(fitting, "LANDMARKS", 600)
    monkeypatch.setattr(fitting, "CHUNK", 250)
    placed = []

    def elsewhere(placer, parts):
        there = pickle.loads(pickle.dumps(placer))
        for part in parts:
            placed.append(len(part))
            yield there(part)

    other = Projection.fit(points, **QUICK, placing=elsewhere)
    assert np.array_equal(other.xy, landed.xy) and placed == [200, 200, 200]
    monkeypatch.setattr(fitting, "FEW_QUERIES", 10)
    there = Projection._grown(
        clusters(1300), np.r_[np.arange(1200), np.full(100, -1)], landed.xy, np.zeros(1200, bool),
        landed.parameters, elsewhere,
    )  # fmt: skip
    assert placed[-1] == 100 and np.array_equal(there.xy[:1200], landed.xy)


def test_points_have_places_of_their_own(maps):
    assert len(np.unique(maps[2].xy, axis=0)) == 1200


def test_a_graph_found_in_lists_gives_a_map_as_good_and_the_same_again(maps, monkeypatch):
    points, whole, *_ = maps
    monkeypatch.setattr(fitting, "FEW_POINTS", 1000)
    monkeypatch.setattr(fitting, "LISTS", 24)
    first, again = (Projection.fit(points, **QUICK) for _ in range(2))
    found = [trustworthiness(points.unit, m.xy, n_neighbors=10) for m in (whole, first)]
    assert found[1] > found[0] - 0.01 and np.array_equal(first.xy, again.xy)


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


def test_many_points_are_searched_in_lists_and_keep_their_places(maps, monkeypatch):
    points, whole, *_ = maps
    monkeypatch.setattr(fitting, "FEW_POINTS", 1000)
    monkeypatch.setattr(fitting, "LISTS", 24)
    listed = Projection(points, whole.xy)
    assert np.abs(listed.transform(points) - whole.xy).max() < 0.01 * whole.xy.std()
    noise = np.random.default_rng(5).normal(size=(200, 24))
    new = Points(points.vectors[:200] + 0.2 * noise, SPACE, "image")
    near = [kind(points, np.arange(1200)).search(new.unit, 15)[1] for kind in (exact, Lists)]
    assert np.mean([len(set(a) & set(b)) / 15 for a, b in zip(*near, strict=True)]) > 0.95


def test_a_large_map_grows_among_some_of_its_points(maps, monkeypatch):
    points, whole, *_ = maps
    monkeypatch.setattr(fitting, "MAX_WHOLE_POINTS", 1000)
    monkeypatch.setattr(fitting, "LANDMARKS", 600)
    new = Points(points.vectors[:120] + np.float32(1e-3), SPACE, "image")
    few = whole.grown(Points.concat([points, new]))
    monkeypatch.setattr(fitting, "FEW_QUERIES", 0)
    monkeypatch.setattr(fitting, "FEW_POINTS", 100)
    listed = whole.grown(Points.concat([points, new]))
    for grown in (few, listed):
        assert np.array_equal(grown.xy[:1200], whole.xy)
        near = np.linalg.norm(grown.xy[1200:, None] - whole.xy, axis=2).argmin(axis=1)
        assert (near % 12 == np.arange(120) % 12).mean() > 0.95
