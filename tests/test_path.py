"""Paths: ends, constant speed, stops, and what is refused before the first frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import QueryError, SideMismatch, SpaceMismatch
from explorer.geometry import angle, rotate, slerp
from explorer.path import Path
from explorer.points import Points, Side, Space

SPACE = Space("toy", 16, "0f" * 32)


def cloud(seed: int, n: int, side: Side = "image") -> Points:
    rng = np.random.default_rng(seed)
    vectors = 2 + rng.normal(size=(n, 16)) * 3
    return Points(vectors, SPACE, side, tuple(f"stop {i}" for i in range(n)))


def some_paths(seed: int) -> list[Path]:
    points = cloud(seed, 5)
    return [
        Path.slerp(points[0], points[1]),
        Path.rotate(points[0], points[1], radians=-0.7),
        Path.rotate(points[0], points[1], fraction=0.4),
        Path.through(points),
        Path.through(points, closed=True),
    ]


@given(seed=st.integers(0, 2**32 - 1), t=st.floats(0, 0.999))
@settings(max_examples=40, deadline=None)
def test_every_path_turns_at_constant_speed(seed: int, t: float) -> None:
    step = 0.001
    for path in some_paths(seed):
        here, there = path.at(t), path.at(t + step)
        # a corner cuts the step short by at most the triangle that it spans
        walked = float(angle(here, there)[0])
        assert walked <= step * path.length + 1e-6
        assert walked > 0.3 * step * path.length


def test_speed_is_constant_along_each_leg_of_a_path_with_unequal_legs() -> None:
    points = cloud(3, 2)
    near = slerp(points[0], points[1], 0.1)
    path = Path.through([points[0], near, points[1]])
    steps = angle(path.sample(11)[:-1], path.sample(11)[1:])
    np.testing.assert_allclose(steps, path.length / 10, rtol=1e-4)
    assert path.length == pytest.approx(float(angle(points[0], points[1])[0]), abs=1e-6)


def test_ends_are_the_given_points_bit_for_bit() -> None:
    points = cloud(0, 4)
    for path, last in [
        (Path.slerp(points[0], points[3]), points[3]),
        (Path.through(points), points[3]),
        (Path.through(list(points), closed=True), points[0]),
    ]:
        np.testing.assert_array_equal(path.at(0).vectors, points[0].vectors)
        np.testing.assert_array_equal(path.at(1).vectors, last.vectors)


def test_a_path_through_points_stops_at_each_in_order_with_its_length() -> None:
    points = cloud(1, 6)
    path = Path.through(points)
    times = np.concatenate([[0], np.cumsum(angle(points[:-1], points[1:]))]) / path.length
    for stop, t in zip(points, times, strict=True):
        np.testing.assert_allclose(path.at(min(t, 1.0)).vectors, stop.vectors, atol=1e-4)


def test_a_path_through_two_points_is_their_slerp() -> None:
    a, b = cloud(2, 2)
    for t in (0, 0.1, 0.5, 1):
        np.testing.assert_allclose(
            Path.through([a, b]).at(t).vectors, Path.slerp(a, b).at(t).vectors, rtol=1e-5
        )


def test_a_closed_path_is_longer_by_the_way_back() -> None:
    points = cloud(4, 3)
    way_back = float(angle(points[2], points[0])[0])
    assert Path.through(points, closed=True).length == pytest.approx(
        Path.through(points).length + way_back
    )


def test_a_repeated_stop_takes_no_time_and_a_path_that_never_turns_is_allowed() -> None:
    a, b = cloud(5, 2)
    plain, repeated = Path.through([a, b]), Path.through([a, a, b, b])
    for t in (0, 0.3, 1):
        np.testing.assert_allclose(repeated.at(t).vectors, plain.at(t).vectors, rtol=1e-5)
    longer = a.with_vectors(2 * a.vectors)  # exactly the same direction
    still = Path.through([a, longer, b, a])
    np.testing.assert_array_equal(still.at(0).vectors, a.vectors)
    grows = Path.through([a, longer])
    assert grows.length == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(grows.at(0.5).norms, 1.5 * a.norms, rtol=1e-5)
    np.testing.assert_allclose(Path.slerp(a, a).at(0.5).vectors, a.vectors, rtol=1e-5)


def test_a_rotation_reaches_its_angle_and_knows_its_length() -> None:
    start, direction = cloud(6, 1), cloud(7, 1, "text")
    path = Path.rotate(start, direction, radians=0.5)
    assert path.length == 0.5
    np.testing.assert_allclose(
        path.at(1).vectors, rotate(start, direction, radians=0.5).vectors, rtol=1e-6
    )
    part = Path.rotate(start, direction, fraction=0.5)
    assert part.length == pytest.approx(float(angle(start, direction)[0]) / 2)
    assert angle(part.at(1), slerp(start, direction, 0.5))[0] < 1e-6
    assert path.at(0.5).side == "image"


def test_sampling_is_even_labelled_and_has_both_ends() -> None:
    path = Path.slerp(*cloud(8, 2))
    frames = path.sample(5)
    assert frames.labels == ("t=0", "t=0.25", "t=0.5", "t=0.75", "t=1")
    for frame, t in zip(frames, np.linspace(0, 1, 5), strict=True):
        np.testing.assert_array_equal(frame.vectors, path.at(t).vectors)
    with pytest.raises(QueryError, match="2 samples or more"):
        path.sample(1)


@pytest.mark.parametrize("t", [-1e-9, 1.0001, np.nan, np.inf])
def test_there_is_no_point_outside_0_and_1(t: float) -> None:
    for path in some_paths(0):
        with pytest.raises(QueryError, match="from t = 0 to t = 1"):
            path.at(t)


def test_bad_ends_are_refused_before_the_first_frame() -> None:
    points = cloud(9, 3)
    a, b = points[0], points[1]
    opposite = a.with_vectors(-a.vectors)
    foreign = Points(a.vectors, Space("other", 16, "ab"), "image")
    for make in (
        lambda: Path.slerp(a, opposite),
        lambda: Path.rotate(a, opposite, fraction=0.2),
        lambda: Path.through([b, a, opposite]),
        lambda: Path.rotate(a, b),
        lambda: Path.slerp(a, points),
        lambda: Path.through(a),
        lambda: Path.through([]),
    ):
        with pytest.raises(QueryError):
            make()
    for make in (lambda: Path.slerp(a, foreign), lambda: Path.through([a, foreign])):
        with pytest.raises(SpaceMismatch):
            make()
    with pytest.raises(SideMismatch):
        Path.through([a, cloud(1, 1, "text")])


def test_any_function_makes_a_path() -> None:
    a = cloud(10, 1)
    path = Path(lambda t: a.with_vectors((1 + t) * a.vectors), 0.0)
    np.testing.assert_allclose(path.sample(3).norms, a.norms * [1, 1.5, 2], rtol=1e-6)
