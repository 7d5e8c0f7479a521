"""Laws of the geometry, run on ours (they hold) and on a well-known wrong slerp (they do not)."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp

from explorer.errors import ExplorerError, QueryError, SpaceMismatch
from explorer.geometry import analogy, angle, mean, rotate, slerp, text_diff
from explorer.points import Points, Side, Space

Slerp = Callable[[Points, Points, float], Points]
CLOSE = 3e-6  # radians, and relative length: results are float32

seeds = st.integers(0, 2**32 - 1)
fractions = st.floats(0, 1)
dimensions = st.sampled_from([2, 3, 8, 64])


def space(dimension: int) -> Space:
    return Space("toy", dimension, "0f" * 32)


def cloud(seed: int, dimension: int, n: int, width: float = 1.0, side: Side = "image") -> Points:
    """Points around a random direction, of random lengths; a small width gives a narrow cone."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=dimension) + width * rng.normal(size=(n, dimension))
    vectors *= rng.uniform(0.1, 20, size=(n, 1)) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Points(vectors, space(dimension), side, tuple(f"{side} {i}" for i in range(n)))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Points, Points]:
    """Two points, from nearly parallel (0.001 radians) to nearly opposite."""
    a, b = cloud(draw(seeds), draw(dimensions), 2, width=100)
    assume(0.01 < angle(a, b)[0] < np.pi - 0.01)
    turn = draw(st.floats(0.001, np.pi - 0.001))
    return a, rotate(a, b, radians=turn).with_vectors(
        rotate(a, b, radians=turn).vectors * draw(st.floats(0.1, 10))
    )


def assert_same(a: Points, b: Points) -> None:
    assert angle(a, b).max() < CLOSE
    np.testing.assert_allclose(a.norms, b.norms, rtol=CLOSE)


# Laws, as functions of a slerp


def starts_and_ends_at_its_points(slerp: Slerp, a: Points, b: Points, t: float) -> None:
    assert_same(slerp(a, b, 0.0), a)
    assert_same(slerp(a, b, 1.0), b)


def is_symmetric(slerp: Slerp, a: Points, b: Points, t: float) -> None:
    assert_same(slerp(a, b, t), slerp(b, a, 1 - t))


def turns_at_constant_speed(slerp: Slerp, a: Points, b: Points, t: float) -> None:
    assert abs(angle(a, slerp(a, b, t)) - t * angle(a, b)) < CLOSE
    assert abs(angle(slerp(a, b, t), b) - (1 - t) * angle(a, b)) < CLOSE


def changes_length_linearly(slerp: Slerp, a: Points, b: Points, t: float) -> None:
    expected = (1 - t) * a.norms + t * b.norms
    np.testing.assert_allclose(slerp(a, b, t).norms, expected, rtol=CLOSE)


def agrees_with_scipy(slerp: Slerp, a: Points, b: Points, t: float) -> None:
    u, v = (p.vectors[0] / np.linalg.norm(p.vectors[0].astype(np.float64)) for p in (a, b))
    expected = geometric_slerp(u, v, t, tol=1e-9)
    np.testing.assert_allclose(slerp(a, b, t).unit[0], expected, atol=CLOSE)


LAWS = [
    starts_and_ends_at_its_points,
    is_symmetric,
    turns_at_constant_speed,
    changes_length_linearly,
    agrees_with_scipy,
]


def elementwise_slerp(a: Points, b: Points, t: float) -> Points:
    """The slerp of diffusers' community pipelines: an arc cosine of every product, never summed."""
    low, high = a.vectors.astype(np.float64), b.vectors.astype(np.float64)
    omega = np.arccos(low / np.linalg.norm(low) * (high / np.linalg.norm(high)))
    parts = np.sin((1 - t) * omega), np.sin(t * omega)
    return a.with_vectors((parts[0] * low + parts[1] * high) / np.sin(omega))


@pytest.mark.parametrize("law", LAWS)
@given(pair=pairs(), t=fractions)
@settings(max_examples=60, deadline=None)
def test_slerp_obeys_the_law(
    law: Callable[..., None], pair: tuple[Points, Points], t: float
) -> None:
    law(slerp, *pair, t)


@pytest.mark.parametrize(
    "law", [turns_at_constant_speed, changes_length_linearly, agrees_with_scipy]
)
def test_the_elementwise_slerp_of_community_pipelines_breaks_the_law(
    law: Callable[..., None],
) -> None:
    a, b = cloud(1, 768, 2, width=0.8)  # cosine 0.6, as between two CLIP image points
    law(slerp, a, b, 0.25)
    with pytest.raises(AssertionError):
        law(elementwise_slerp, a, b, 0.25)


@given(pair=pairs())
@settings(max_examples=30, deadline=None)
def test_slerp_gives_its_ends_bit_for_bit(pair: tuple[Points, Points]) -> None:
    a, b = pair
    np.testing.assert_array_equal(slerp(a, b, 0.0).vectors, a.vectors)
    np.testing.assert_array_equal(slerp(a, b, 1.0).vectors, b.vectors)


@pytest.mark.parametrize("apart", [0, 1e-30, 1e-9, 1e-7, 1e-5, 1e-3])
def test_slerp_between_nearly_parallel_points_stays_between_them(apart: float) -> None:
    a, b = (Points(np.array([[2.0, y]]), space(2), "image") for y in (0.0, 2 * apart))
    middle = slerp(a, b, 0.5)
    assert angle(a, middle)[0] == pytest.approx(apart / 2, rel=1e-5, abs=1e-15)
    assert middle.norms[0] == pytest.approx(2, rel=1e-6)


@given(seed=seeds, dimension=dimensions, scale=st.floats(0.1, 100), t=fractions)
@settings(max_examples=30, deadline=None)
def test_opposite_points_are_refused_by_slerp_rotate_and_mean(
    seed: int, dimension: int, scale: float, t: float
) -> None:
    a = cloud(seed, dimension, 1)
    b = a.with_vectors(-scale * a.vectors)
    with pytest.raises(QueryError, match="antipodal, so the shortest arc"):
        slerp(a, b, t)
    with pytest.raises(QueryError, match="antipodal, so the shortest arc"):
        rotate(a, b, fraction=t)
    with pytest.raises(QueryError, match="not unique"):
        mean(Points.concat([a, b]))


@pytest.mark.parametrize("t", [-0.1, 1.1, np.nan])
def test_slerp_refuses_t_outside_0_and_1(t: float) -> None:
    a, b = cloud(0, 3, 2)
    with pytest.raises(QueryError, match="rotate"):
        slerp(a, b, t)


# angle


@pytest.mark.parametrize("radians", [0, 1e-30, 1e-10, 1e-4, 1, np.pi / 2, 3, np.pi - 1e-4, np.pi])
def test_angle_is_exact_also_where_the_arc_cosine_is_not(radians: float) -> None:
    a = Points(np.array([[1.0, 0.0]]), space(2), "image")
    b = Points(5 * np.array([[np.cos(radians), np.sin(radians)]]), space(2), "image")
    x, y = b.vectors[0].astype(np.float64)
    assert angle(a, b)[0] == pytest.approx(np.arctan2(abs(y), x), rel=1e-14, abs=1e-15)
    assert angle(a, b)[0] == pytest.approx(radians, rel=1e-6, abs=1e-15)


# rotate


@given(pair=pairs(), fraction=fractions)
@settings(max_examples=60, deadline=None)
def test_rotating_by_a_fraction_points_where_slerp_does_and_keeps_length(
    pair: tuple[Points, Points], fraction: float
) -> None:
    start, direction = pair
    turned = rotate(start, direction, fraction=fraction)
    assert angle(turned, slerp(start, direction, fraction)).max() < CLOSE
    np.testing.assert_allclose(turned.norms, start.norms, rtol=CLOSE)


@given(pair=pairs(), radians=st.floats(-3, 3))
@settings(max_examples=60, deadline=None)
def test_rotating_turns_by_that_many_radians_in_the_plane_of_the_two(
    pair: tuple[Points, Points], radians: float
) -> None:
    start, direction = pair
    assume(angle(start, direction)[0] > 0.01)  # float32 does not fix the plane of closer points
    turned = rotate(start, direction, radians=radians)
    assert abs(angle(start, turned)[0] - abs(radians)) < CLOSE
    u, v, w = (p.vectors[0].astype(np.float64) for p in (start, direction, turned))
    sideways = v - (v @ u) / (u @ u) * u
    basis = np.stack([u / np.linalg.norm(u), sideways / np.linalg.norm(sideways)])
    np.testing.assert_allclose(
        basis @ w / np.linalg.norm(w), [np.cos(radians), np.sin(radians)], atol=1e-4
    )


def test_rotate_needs_exactly_one_finite_amount() -> None:
    a, b = cloud(0, 3, 2)
    for amounts in ({}, {"radians": 1.0, "fraction": 1.0}, {"radians": np.nan}):
        with pytest.raises(QueryError, match="exactly one of them"):
            rotate(a, b, **amounts)


def test_rotating_towards_the_point_itself_has_no_circle_but_has_fractions() -> None:
    a = cloud(0, 3, 1)
    with pytest.raises(QueryError, match="no great circle"):
        rotate(a, a, radians=0.1)
    assert_same(rotate(a, a, fraction=0.3), a)
    b = cloud(1, 3, 1)
    np.testing.assert_array_equal(rotate(a, b, radians=0.0).vectors, a.vectors)


# text_diff


def test_a_text_diff_is_the_unit_difference_of_unit_vectors() -> None:
    before = Points(np.array([[2.0, 0.0]]), space(2), "text", ("cat",))
    after = Points(np.array([[0.0, 5.0]]), space(2), "text", ("dog",))
    change = text_diff(before, after)
    np.testing.assert_allclose(change.vectors, [[-(0.5**0.5), 0.5**0.5]], rtol=1e-6)
    assert change.labels == ("cat → dog",) and change.side == "text"
    omitted = text_diff(None, after)
    np.testing.assert_allclose(omitted.vectors, [[0, 1]])
    assert omitted.labels == ("dog",) and omitted.side == "text"


def test_a_text_diff_turns_a_image_nearer_to_after_and_away_from_before() -> None:
    words, image = cloud(1, 64, 2, side="text"), cloud(2, 64, 1)
    turned = rotate(image, text_diff(words[0], words[1]), fraction=0.3)
    assert turned.side == "image" and turned.labels == image.labels
    assert angle(turned, words[1]) < angle(image, words[1])
    assert angle(turned, words[0]) > angle(image, words[0])


def test_a_text_diff_between_the_same_words_is_refused_with_the_words() -> None:
    cat = cloud(0, 8, 1, side="text").with_labels(["cat"])
    with pytest.raises(QueryError, match="'cat' and 'cat' .* difference is zero"):
        text_diff(cat, cat.with_vectors(3 * cat.vectors))


# analogy


def test_an_analogy_adds_and_subtracts_directions_and_averages_lengths() -> None:
    king, man, woman = (
        Points(np.array([vector]), space(3), "text", (label,))
        for label, vector in [("king", [3, 0, 0]), ("man", [0, 2, 0]), ("woman", [0, 0, 4])]
    )
    result = analogy(king, man, woman)
    np.testing.assert_allclose(result.vectors, 3 * np.array([[1, -1, 1]]) / 3**0.5, rtol=1e-6)
    assert result.labels == ("king - man + woman",)
    assert_same(analogy(king, man, man), king.with_vectors(king.vectors / 3 * 7 / 3))


def test_an_analogy_that_cancels_out_is_refused() -> None:
    degrees = np.deg2rad([0, 60, 120])  # the first and the last add up to the one between
    vectors = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    with pytest.raises(QueryError, match="a - b \\+ c is zero"):
        analogy(*Points(vectors, space(2), "image"))


# mean


@given(pair=pairs(), t=fractions)
@settings(max_examples=60, deadline=None)
def test_the_weighted_mean_of_two_is_their_slerp(pair: tuple[Points, Points], t: float) -> None:
    a, b = pair
    assume(angle(a, b)[0] < 3)
    assert_same(mean(Points.concat([a, b]), [1 - t, t]), slerp(a, b, t))


clouds = st.builds(cloud, seeds, dimensions, st.integers(2, 9), st.floats(0.01, 0.5))


@given(points=clouds, seed=seeds)
@settings(max_examples=40, deadline=None)
def test_the_mean_does_not_depend_on_order_nor_on_how_space_is_turned(
    points: Points, seed: int
) -> None:
    assume(angle(mean(points), points).max() < 1.4)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 1, len(points))
    order = rng.permutation(len(points))
    turn = np.linalg.qr(rng.normal(size=(points.space.dimension,) * 2))[0]
    middle = mean(points, weights)
    assert_same(mean(points[order], weights[order]), middle)
    turned = mean(points.with_vectors(points.vectors @ turn), weights)
    assert_same(turned, middle.with_vectors(middle.vectors @ turn))


@given(points=clouds, seed=seeds)
@settings(max_examples=40, deadline=None)
def test_no_direction_nearby_has_a_smaller_sum_of_squared_angles(points: Points, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, 1, len(points))
    middle = mean(points, weights)
    others = middle.unit + rng.normal(size=(50, points.space.dimension)) * 0.05
    best = weights @ angle(points, middle) ** 2
    for other in Points(others, points.space, points.side):
        assert weights @ angle(points, other) ** 2 >= best - 1e-5


def test_a_weight_counts_like_repeating_a_point_and_zero_like_leaving_it_out() -> None:
    points = cloud(5, 8, 3, width=0.5)
    assert_same(mean(points, [2, 1, 0]), mean(points[[0, 0, 1]]))
    assert_same(mean(points, [0, 0, 3]), points[2])


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, np.nan], [1, np.inf], [[1, 1]]])
def test_weights_that_mean_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(QueryError, match="[Ww]eight"):
        mean(cloud(0, 3, 2), weights)


def test_points_all_around_a_circle_have_no_mean() -> None:
    degrees = np.deg2rad([0, 120, 240])
    circle = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    with pytest.raises(QueryError, match="not unique"):
        mean(Points(circle, space(2), "image"))
    with pytest.raises(QueryError, match="not unique"):
        mean(Points(np.array([[1.0, 0, 0], [-1.0, 0, 0]]), space(3), "image"), [2, 1])


# Every function


CALLS: dict[str, Callable[[Points, Points], Points | np.ndarray]] = {
    "angle": angle,
    "slerp": lambda a, b: slerp(a, b, 0.5),
    "rotate": lambda a, b: rotate(a, b, fraction=0.5),
    "text_diff": text_diff,
    "analogy": lambda a, b: analogy(a, a, b),
}
MAKERS = ["slerp", "rotate", "analogy"]


@pytest.mark.parametrize("name", CALLS)
def test_points_of_two_spaces_are_refused_with_both_names(name: str) -> None:
    a = cloud(0, 8, 1)
    b = Points(a.vectors, Space("other", 8, "ab" * 32), "image")
    with pytest.raises(SpaceMismatch) as raised:
        CALLS[name](a, b)
    assert str(a.space) in str(raised.value) and str(b.space) in str(raised.value)
    assert isinstance(raised.value, ExplorerError)


@pytest.mark.parametrize("name", CALLS)
def test_one_against_many_is_each_against_each_and_two_against_three_is_refused(name: str) -> None:
    call, a, b = CALLS[name], cloud(1, 8, 3), cloud(2, 8, 3)
    for left, right in [(a[0], b), (a, b[0]), (a, b)]:
        together = call(left, right)
        for i in range(3):
            alone = call(left[min(i, len(left) - 1)], right[min(i, len(right) - 1)])
            if isinstance(together, Points):
                assert isinstance(alone, Points)
                np.testing.assert_allclose(together[i].vectors, alone.vectors, rtol=1e-6)
            else:
                assert together[i] == pytest.approx(alone[0])
    with pytest.raises(QueryError, match="2 points with 3: pass equal counts"):
        call(a[:2], b)


@pytest.mark.parametrize("name", MAKERS)
def test_results_lie_on_the_text_side_only_if_every_operand_does(name: str) -> None:
    call = CALLS[name]
    image, text = cloud(1, 8, 1), cloud(2, 8, 1, side="text")
    sides = {
        (a.side, b.side): call(a, b).side  # type: ignore[union-attr]
        for a in (image, text)
        for b in (image, text)
    }
    assert {pair for pair, side in sides.items() if side == "text"} == {("text", "text")}


def test_results_carry_the_first_operands_labels_or_those_of_the_many() -> None:
    a, b = cloud(1, 8, 2), cloud(2, 8, 2, side="text")
    assert slerp(a, b, 0.5).labels == a.labels
    assert rotate(a[0], b, fraction=0.3).labels == b.labels
    assert mean(a).labels == ("mean of image 0, image 1",)
    assert mean(cloud(1, 8, 9)).labels == ("mean of 9 points",)
