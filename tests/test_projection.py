"""Projection: neighbours stay neighbours, and places on the map lead back to points."""

import numpy as np
import pytest

from explorer.errors import LibraryDamaged, LibraryError, SpaceMismatch
from explorer.notes import collecting
from explorer.points import Points, Space
from explorer.projection import FILE_NAME, Projection

SPACE = Space("toy", 24, "0f")
FEW = {"epochs": 60, "neighbours": 10}


def clusters(n: int, seed: int) -> Points:
    """Six clusters of directions with lengths between 5 and 15."""
    centres = np.random.default_rng(0).normal(size=(6, 24))
    rng = np.random.default_rng(seed)
    vectors = centres[np.arange(n) % 6] + 0.35 * rng.normal(size=(n, 24))
    lengths = rng.uniform(5, 15, size=(n, 1))
    return Points(
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True) * lengths, SPACE, "image"
    )


@pytest.fixture(scope="module")
def projection() -> Projection:
    return Projection.fit(clusters(300, seed=1), **FEW)


def spread(projection: Projection) -> float:
    return float(projection.xy.std())


def cosines(a: Points, b: Points) -> np.ndarray:
    return (a.unit * b.unit).sum(axis=1)


def test_neighbours_stay_neighbours(projection):
    from sklearn.manifold import trustworthiness

    assert projection.xy.shape == (300, 2) and projection.xy.dtype == np.float32
    score = trustworthiness(projection.points.unit, projection.xy, metric="cosine", n_neighbors=10)
    assert score > 0.8


def test_the_same_seed_gives_the_same_map(projection):
    again = Projection.fit(clusters(300, seed=1), **FEW)
    assert np.array_equal(again.xy, projection.xy)


def test_another_seed_gives_another_map(projection):
    other = Projection.fit(clusters(300, seed=1), seed=1, **FEW)
    assert not np.allclose(other.xy, projection.xy)


def test_length_has_no_part_in_the_map(projection):
    points = clusters(300, seed=1)
    doubled = points.with_vectors(points.vectors * np.float32(2))  # exact: the same directions
    assert np.array_equal(Projection.fit(doubled, **FEW).xy, projection.xy)


def test_a_known_point_lands_on_its_place(projection):
    placed = projection.transform(projection.points)
    assert np.abs(placed - projection.xy).max() < 0.01 * spread(projection)


def test_a_new_point_lands_in_its_cluster(projection):
    placed = projection.transform(clusters(60, seed=2))
    centres = np.stack([np.median(projection.xy[i::6], axis=0) for i in range(6)])
    nearest = np.linalg.norm(placed[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == np.arange(60) % 6).mean() > 0.95


def test_a_point_lands_where_it_does_alone(projection):
    new = clusters(20, seed=2)
    assert np.allclose(projection.transform(new)[7], projection.transform(new[7])[0], atol=1e-4)


def test_points_of_another_space_are_refused(projection):
    with pytest.raises(SpaceMismatch, match="other"):
        projection.transform(Points(np.ones((1, 24)), Space("other", 24, "1f"), "image"))


def test_the_place_of_a_point_leads_back_to_it(projection):
    back = projection.inverse(projection.xy)
    assert cosines(back, projection.points).min() > 0.999
    assert np.allclose(back.norms, projection.points.norms, rtol=1e-3)
    assert back.space == SPACE and back.side == "image"


def test_a_place_without_its_point_still_leads_near_it(projection):
    left_out = np.arange(0, 300, 7)
    kept = np.setdiff1d(np.arange(300), left_out)
    partial = Projection(projection.points[kept], projection.xy[kept])
    back = partial.inverse(projection.xy[left_out])
    true = projection.points[left_out]
    random = projection.points[np.random.default_rng(0).permutation(300)[: len(left_out)]]
    assert cosines(back, true).mean() > cosines(random, true).mean() + 0.5


def test_a_place_between_two_points_leads_between_them():
    points = Points(np.eye(24)[:2] * [[2], [4]], SPACE, "image")
    middle = Projection(points, np.array([[0, 0], [1, 0]], np.float32)).inverse([[0.5, 0]])
    assert np.allclose(middle.unit[0, :2], np.sqrt(0.5)) and np.isclose(middle.norms[0], 3)


def test_places_far_outside_still_lead_to_points(projection):
    assert np.isfinite(projection.inverse([[1e6, -1e6]]).vectors).all()


@pytest.mark.parametrize("xy", [[[0.0, np.nan]], [[0.0, 1.0, 2.0]], [1.0, 2.0, 3.0]])
def test_what_is_no_place_is_refused(projection, xy):
    with pytest.raises(ValueError, match="finite"):
        projection.inverse(xy)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 7, 19])
def test_few_points_have_a_map_too(n):
    few = Projection.fit(clusters(n, seed=3), epochs=20)
    assert few.xy.shape == (n, 2) and np.isfinite(few.xy).all()
    assert np.allclose(few.transform(few.points), few.xy, atol=0.02 * (spread(few) + 1e-3))
    assert cosines(few.inverse(few.xy), few.points).min() > 0.99


def test_two_points_lie_as_far_apart_as_their_directions():
    points = Points(np.eye(24)[:2], SPACE, "image")
    xy = Projection.fit(points).xy
    assert np.isclose(np.linalg.norm(xy[0] - xy[1]), np.sqrt(2))


def test_many_copies_of_one_image_have_a_map():
    points = clusters(60, seed=4)
    copies = Points.concat([points, points[np.zeros(60, int)]])
    assert np.isfinite(Projection.fit(copies, epochs=20).xy).all()


def test_a_saved_map_is_the_same_map(projection, tmp_path):
    projection.save(tmp_path)
    loaded = Projection.load(tmp_path, projection.points, **FEW)
    assert np.array_equal(loaded.xy, projection.xy)
    assert np.array_equal(
        loaded.transform(loaded.points[:5]), projection.transform(loaded.points[:5])
    )
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_map_that_is_not_there_is_said(projection, tmp_path):
    with pytest.raises(LibraryError, match="no map"):
        Projection.load(tmp_path, projection.points)


@pytest.mark.parametrize("settings", [{}, {**FEW, "seed": 1}, {**FEW, "min_dist": 0.2}])
def test_a_map_of_other_settings_is_stale(projection, tmp_path, settings):
    projection.save(tmp_path)
    with pytest.raises(LibraryError, match="other points or settings"):
        Projection.load(tmp_path, projection.points, **settings)


def test_a_map_of_other_points_is_stale(projection, tmp_path):
    projection.save(tmp_path)
    vectors = projection.points.vectors.copy()
    vectors[17, 3] += 1e-3
    with pytest.raises(LibraryError, match="other points"):
        Projection.load(tmp_path, projection.points.with_vectors(vectors), **FEW)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_map_is_noticed(projection, tmp_path, damage):
    file = projection.save(tmp_path)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 255
    damaged = {"cut": content[:middle], "flip": content, "empty": b"", "text": b"not a map"}
    file.write_bytes(damaged[damage])
    with pytest.raises(LibraryDamaged):
        Projection.load(tmp_path, projection.points, **FEW)


def test_a_damaged_map_is_fitted_again_and_noted(tmp_path):
    points = clusters(5, seed=5)
    fitted = Projection.cached(tmp_path, points)
    file = tmp_path / FILE_NAME
    for position in (5, len(file.read_bytes()) // 2, -1):  # of its key, checksum, places
        content = bytearray(file.read_bytes())
        content[position] ^= 1
        file.write_bytes(content)
        with collecting() as notes:
            assert np.array_equal(Projection.cached(tmp_path, points).xy, fitted.xy)
        assert len(notes) == 1 and "damaged" in notes[0]
    with collecting() as notes:
        Projection.cached(tmp_path, points)
    assert notes == []


def test_a_stale_map_is_drawn_again(tmp_path):
    points, more = clusters(5, seed=5), clusters(4, seed=6)
    Projection.cached(tmp_path, points)
    assert len(Projection.cached(tmp_path, more).xy) == 4
    assert np.array_equal(Projection.load(tmp_path, more).xy, Projection.fit(more).xy)
