"""Measures: each formula against a case worked by hand, or against what it gave before."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import spearmanr

from explorer.metrics import (
    bootstrap,
    fewest,
    found,
    frechet,
    leading_axes,
    recall,
    spearman,
    steadiness,
    three_ways,
    trustworthiness,
    wilson,
)
from explorer.points import Points, Space


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_row_is_found_if_fewer_than_k_others_score_higher():
    scores = np.array([[0.1, 0.9, 0.5], [0.3, 0.2, 0.3], [0.7, 0.8, 0.9]])
    right = np.array([2, 0, 0])
    assert found(scores, right, 1).tolist() == [False, True, False]
    assert found(scores, right, 2).tolist() == [True, True, False]
    assert recall(scores, right, 2) == pytest.approx(2 / 3)


def test_the_frechet_distance_of_two_gaussians_on_a_line():
    a, b = np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])  # N(0, 2) and N(3, 8)
    assert frechet(a, b) == pytest.approx(3**2 + (8**0.5 - 2**0.5) ** 2)


def test_the_frechet_distance_agrees_with_the_matrix_root(rng):
    a, b = (rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)) + shift for shift in (0, 1))
    one, other = np.cov(a.T), np.cov(b.T)
    apart = a.mean(0) - b.mean(0)
    expected = apart @ apart + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet(a, b) == pytest.approx(expected)
    assert frechet(b, a) == pytest.approx(expected)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + np.array([3, 4, 0, 0, 0])) == pytest.approx(25)


def test_the_leading_axes_are_those_of_widest_spread(rng):
    rows = rng.normal(size=(500, 3)) * [1, 9, 4]
    np.testing.assert_allclose(np.abs(leading_axes(rows, 2).T), [[0, 1, 0], [0, 0, 1]], atol=0.1)


def test_a_bootstrap_of_groups_draws_targets_not_trials():
    hits, targets = np.array([True, False]), np.array([7, 9])
    assert bootstrap(hits, groups=targets) == (
        0,
        1,
    )  # both targets are one of them in half of all draws
    assert bootstrap(np.repeat(hits, 500), groups=np.repeat(targets, 500)) == (0, 1)
    low, high = bootstrap(np.repeat(hits, 500))
    assert (low, high) == pytest.approx((0.5 - 0.031, 0.5 + 0.031), abs=0.004)  # 1.96 √(¼ / 1000)


def test_the_fewest_steps_are_those_within_a_hundredth_of_the_best():
    scores = {4: 0.88, 6: 0.892, 8: 0.89, 50: 0.9}
    assert fewest(scores, 0.9) == 6
    assert fewest(scores, 1.0) is None


def test_wilson_by_hand():
    # Newcombe 1998, table I: 81 of 263, and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(20, 20) == pytest.approx((0.8389, 1), abs=5e-5)
    assert wilson(0, 0) == (0, 1)


def test_the_bootstrap_of_a_mean_is_near_its_normal_interval():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = bootstrap(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert bootstrap(values) == (low, high)
    assert bootstrap(values, np.median)[0] > 2


def test_an_interval_of_grouped_trials_is_that_of_the_model_card():
    # what the formula of pocket's card gave: 1000 multinomial draws of the targets, seed 0
    hits = np.random.default_rng(0).random(200) < 0.4
    targets = np.random.default_rng(1).integers(0, 20, 200)
    assert bootstrap(hits, groups=targets) == pytest.approx((0.289607441337, 0.408455782774))


def test_a_rank_correlation_is_that_of_scipy_with_ties_and_0_without_change():
    values = np.random.default_rng(0).integers(0, 9, 30).astype(float)
    assert steadiness(values) == pytest.approx(0.163157057079)
    assert steadiness(values) == pytest.approx(spearmanr(values, np.arange(30)).statistic)
    assert spearman(values, -(values**3)) == -1
    assert steadiness(np.ones(4)) == spearman(np.arange(4.0), np.ones(4)) == 0


def test_the_three_ways_decode_text_points_at_the_length_of_images_and_score_each_way():
    plane = Space("plane", 2, "0f")
    images = Points(np.array([[3.0, 0], [0, 5], [-3, 0], [0, -5]]), plane, "image")
    captions = Points(np.array([[0.0, 1], [1, 1], [1, 0], [-1, 0], [0, -1]]), plane, "text")
    asked = []

    def see(points, **options):
        asked.append((points, options))
        return points if options.get("guidance") is None else images[[1, 0, 3, 2]]

    table = three_ways(see, images, captions, images, images, np.array([2, 0, 3, 4]), axes=1)
    assert list(table) == ["no point", "text point", "prior", "image point"]
    assert [options.get("guidance") for _, options in asked] == [0, None, None, None]
    assert all(list(options["seed"]) == [0, 1, 2, 3] for _, options in asked)
    assert asked[1][0].side == "image"
    assert asked[1][0].norms == pytest.approx([4] * 4)
    assert table["no point"]["round_trip"] == pytest.approx(0)
    assert table["image point"] == table["prior"] == table["text point"]
    assert table["prior"] == pytest.approx({"frechet": 0, "round_trip": 1, "words_at_10": 1})


@pytest.fixture
def cloud(rng):
    return rng.normal(size=(300, 12))


def test_trustworthiness_and_continuity_have_the_values_of_their_definition(cloud):
    # from the ranks of all points, as Venna & Kaski 2001 define both
    unit, xy = cloud / np.linalg.norm(cloud, axis=1, keepdims=True), cloud[:, :2]
    assert trustworthiness(unit, xy, 3) == pytest.approx((0.636983, 0.744983), abs=1e-6)
    assert trustworthiness(unit, xy, 10) == pytest.approx((0.641460, 0.715804), abs=1e-6)


def test_a_map_of_the_plane_itself_is_perfect_and_places_at_random_are_at_chance(cloud):
    angles = np.random.default_rng(0).uniform(0, 3, 300)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert trustworthiness(unit, unit, 20) == (1, 1)
    assert trustworthiness(unit, cloud[:, :2], 5) == pytest.approx((0.5, 0.5), abs=0.06)
