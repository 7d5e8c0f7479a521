"""Support: each measure against its definition, and percentiles that mean what they say."""

import numpy as np
import pytest

from explorer.errors import QueryError, SpaceMismatch
from explorer.points import Points, Space
from explorer.support import MEASURES, Support

PLANE = Space("plane", 2, "0f")
ROOM = Space("room", 12, "0f")


def cloud(n, seed=0):
    rng = np.random.default_rng(seed)
    return Points(3 + rng.normal(size=(n, 12)) * np.linspace(0.2, 2, 12), ROOM, "image")


def test_measures_by_hand():
    # the mean is (2, 1) and the variances are 0.5, with no covariance: nothing is shrunk
    reference = Points(np.array([[3.0, 1], [1, 1], [2, 2], [2, 0]]), PLANE, "image")
    asked = reference[:1].with_vectors(np.array([[2.0, 2]]))
    found = Support(reference, reference, neighbours=2).score(asked).iloc[0]
    cosines = [4 / np.sqrt(20), 1, 1, 1 / np.sqrt(2)]
    assert found["nearest"] == pytest.approx(1)  # the second of three that are 1, 1, 0.89
    assert found["conformity"] == pytest.approx(np.mean(cosines))
    assert found["likelihood"] == pytest.approx(-np.log(2 * np.pi) - 1)  # 1² / 0.5 / 2


def test_whitened_points_have_no_mean_and_the_identity_as_covariance():
    points = cloud(40_000)
    mean, whiten = Support(points, points)._whitening
    white = (points.vectors - mean) @ whiten
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(12), atol=0.03)


def test_percentiles_of_real_points_are_spread_evenly():
    points = cloud(8000)
    found = Support.fit(points[:7000]).score(points[7000:])
    for name in MEASURES:
        deciles = np.histogram(found[f"{name} percentile"], 10, (0, 100))[0] / 1000
        assert deciles == pytest.approx([0.1] * 10, abs=0.05)


def test_a_percentile_counts_the_held_out_points_below_and_half_of_those_alike():
    line = Points(np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]]), PLANE, "image")
    support = Support(line[[0, 0]], line, neighbours=1)
    assert support.score(line)["nearest percentile"].tolist() == [87.5, 62.5, 12.5, 37.5]


def test_what_is_far_out_is_told_by_every_measure():
    points = cloud(500)
    out = points[:1].with_vectors(-points.vectors.mean(0, keepdims=True))
    found = Support.fit(points).score(out)
    assert [found[f"{name} percentile"][0] for name in MEASURES] == [0, 0, 0]


def test_the_middle_is_likelier_than_any_real_point():
    points = cloud(500)
    found = Support.fit(points).score(points[:1].with_vectors(points.vectors.mean(0)[None]))
    assert found["likelihood percentile"][0] == found["conformity percentile"][0] == 100


def test_the_held_out_points_are_none_of_the_reference_and_a_seed_gives_the_same():
    points = cloud(100).with_labels([str(i) for i in range(100)])
    support, again = Support.fit(points, seed=3), Support.fit(points, seed=3)
    assert support.held_out.labels == again.held_out.labels
    assert len(support.held_out) == 20
    assert sorted([*support.held_out.labels, *support.reference.labels]) == sorted(points.labels)


def test_too_few_points_and_another_space_are_refused():
    with pytest.raises(QueryError, match="30 real points"):
        Support.fit(cloud(29))
    with pytest.raises(QueryError, match="one neighbour"):
        Support.fit(cloud(29), neighbours=0)
    with pytest.raises(SpaceMismatch):
        Support.fit(cloud(40)).score(Points(np.ones((1, 2)), PLANE, "image"))
