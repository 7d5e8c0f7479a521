"""Laws of Noise: seeds, rows and great circles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp

from explorer.errors import QueryError
from explorer.noise import Noise, draw

SHAPE = (2, 3, 4)


def test_a_seed_gives_the_same_noise_whatever_stands_beside_it():
    together = Noise.random([3, 5, 3], SHAPE)
    assert (together[1].latents == Noise.random([5], SHAPE).latents).all()
    assert (together.latents[0] == together.latents[2]).all()
    assert (together.latents == draw([3, 5, 3], SHAPE)[0]).all()


def test_random_noise_is_standard_normal():
    latents = Noise.random([0], (8, 64, 64)).latents
    assert abs(latents.mean()) < 0.02
    assert abs(latents.std() - 1) < 0.02


def test_rows_and_concatenation_undo_each_other():
    noise = Noise.random([1, 2, 3], SHAPE)
    assert len(noise[1:]) == 2
    assert len(noise[2]) == 1
    assert (Noise.concat([noise[0], noise[1:]]).latents == noise.latents).all()
    with pytest.raises(QueryError, match="one shape"):
        Noise.concat([noise, Noise.random([1], (2, 3, 5))])


def test_noise_keeps_its_own_copy():
    array = np.ones((1, *SHAPE), np.float32)
    noise = Noise(array)
    array[:] = 7
    assert (noise.latents == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        noise.latents[:] = 7


@given(st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_slerp_agrees_with_scipy_on_directions_and_is_linear_in_length(t):
    a, b = Noise.random([1], SHAPE), Noise(2 * Noise.random([2], SHAPE).latents)
    between = Noise.slerp(a, b, t).latents.ravel().astype(float)
    u, v = (n.latents.ravel() / np.linalg.norm(n.latents) for n in (a, b))
    lengths = [np.linalg.norm(n.latents) for n in (a, b)]
    expected = geometric_slerp(
        u.astype(float) / np.linalg.norm(u.astype(float)),
        v.astype(float) / np.linalg.norm(v.astype(float)),
        t,
    )
    assert np.allclose(between / np.linalg.norm(between), expected, atol=1e-5)
    assert np.linalg.norm(between) == pytest.approx((1 - t) * lengths[0] + t * lengths[1], rel=1e-5)


def test_slerp_starts_at_a_and_ends_at_b():
    a, b = Noise.random([1, 2], SHAPE), Noise.random([3, 4], SHAPE)
    assert np.allclose(Noise.slerp(a, b, 0).latents, a.latents, atol=1e-6)
    assert np.allclose(Noise.slerp(a, b, 1).latents, b.latents, atol=1e-6)
    assert np.allclose(Noise.slerp(a, a, 0.3).latents, a.latents, atol=1e-6)


def test_slerp_keeps_noise_as_long_as_noise_is():
    shape = (4, 32, 32)
    a, b = Noise.random([1], shape), Noise.random([2], shape)
    middle = Noise.slerp(a, b, [0.25, 0.5, 0.75]).latents
    assert np.abs(middle.std(axis=(1, 2, 3)) - 1).max() < 0.03  # linear mixing gives 0.71


def test_slerp_matches_rows_with_values_of_t():
    a, b = Noise.random([1], SHAPE), Noise.random([2], SHAPE)
    frames = Noise.slerp(a, b, [0, 0.5, 1])
    assert len(frames) == 3
    assert np.allclose(frames.latents[1], Noise.slerp(a, b, 0.5).latents[0])
    with pytest.raises(QueryError, match="Cannot broadcast"):
        Noise.slerp(Noise.random([1, 2], SHAPE), b, [0, 0.5, 1])


def test_slerp_refuses_what_has_no_one_shortest_arc():
    a = Noise.random([1], SHAPE)
    with pytest.raises(QueryError, match="antipodal"):
        Noise.slerp(a, Noise(-a.latents), 0.5)
    with pytest.raises(QueryError, match="all zeros"):
        Noise.slerp(a, Noise(0 * a.latents), 0.5)


@pytest.mark.parametrize(
    "array", [np.ones((2, 3, 4)), np.ones((0, 2, 3, 4)), np.full((1, *SHAPE), np.nan)]
)
def test_noise_of_a_wrong_shape_or_not_finite_is_refused(array):
    with pytest.raises(QueryError, match="N × C × h × w"):
        Noise(array)
