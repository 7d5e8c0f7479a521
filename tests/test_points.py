"""Points and Space: what they hold, what they refuse, and that nobody can change them."""

import dataclasses

import numpy as np
import pytest

from explorer.errors import SideMismatch, SpaceMismatch
from explorer.points import Points, Side, Space

SPACE = Space("toy", 3, "0f" * 32)
OTHER = Space("toy", 3, "1f" * 32)


def some(n: int = 4, side: Side = "image", space: Space = SPACE) -> Points:
    vectors = np.random.default_rng(0).normal(size=(n, space.dimension))
    return Points(vectors, space, side, tuple(f"label {i}" for i in range(n)))


def test_vectors_are_kept_as_given_in_float32_and_not_normalised() -> None:
    points = Points(np.array([[3.0, 4.0, 0.0]]), SPACE, "image")
    assert points.vectors.dtype == np.float32
    assert points.vectors.tolist() == [[3, 4, 0]]
    assert points.norms.tolist() == [5]
    np.testing.assert_allclose(points.unit, [[0.6, 0.8, 0]], rtol=1e-6)


def test_points_cannot_be_changed_and_do_not_follow_the_callers_array() -> None:
    given = np.ones((2, 3), dtype=np.float32)
    points = Points(given, SPACE, "image")
    given[:] = 7
    assert points.vectors.tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        points.vectors[0, 0] = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        points.side = "text"  # type: ignore[misc]
    assert given.flags.writeable


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.empty((0, 3)), "N ≥ 1"),
        (np.ones(3), "N × 3"),
        (np.ones((2, 4)), r"\(2, 4\)"),
        (np.array([[1, 1, 1], [0, 0, 0]]), "Vector 1 is zero"),
        (np.array([[np.nan, 1, 1]]), "not finite"),
        (np.array([[np.inf, 1, 1]]), "not finite"),
    ],
)
def test_vectors_without_a_direction_or_of_a_wrong_shape_are_refused(
    vectors: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Points(vectors, SPACE, "image")


def test_an_unknown_side_and_a_wrong_number_of_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="audio"):
        Points(np.ones((1, 3)), SPACE, "audio")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 points but 1 labels"):
        Points(np.ones((2, 3)), SPACE, "image", ("one",))


def test_one_index_a_slice_and_a_list_choose_points_with_their_labels() -> None:
    points = some()
    assert points[2].labels == ("label 2",)
    assert len(points[-1]) == 1 and points[-1].labels == ("label 3",)
    assert points[1:3].labels == ("label 1", "label 2")
    assert points[[3, 0]].labels == ("label 3", "label 0")
    np.testing.assert_array_equal(points[[3, 0]].vectors, points.vectors[[3, 0]])
    with pytest.raises(IndexError):
        points[4]


def test_iterating_and_joining_again_gives_the_same_points() -> None:
    points = some()
    again = Points.concat(list(points))
    np.testing.assert_array_equal(again.vectors, points.vectors)
    assert (again.labels, again.side, again.space) == (points.labels, points.side, points.space)
    assert all(len(one) == 1 for one in points)


def test_points_of_two_spaces_or_two_sides_do_not_stand_together() -> None:
    with pytest.raises(SpaceMismatch) as raised:
        Points.concat([some(), some(space=OTHER)])
    assert str(SPACE) in str(raised.value) and str(OTHER) in str(raised.value)
    with pytest.raises(SideMismatch, match="prior"):
        Points.concat([some(), some(side="text")])


def test_a_space_is_the_same_only_with_the_same_fingerprint() -> None:
    assert Space("toy", 3, "0f" * 32) == SPACE
    assert SPACE != OTHER
    SPACE.check(Space("toy", 3, "0f" * 32))
    with pytest.raises(SpaceMismatch, match="Encode them again"):
        SPACE.check(OTHER, "Encode them again.")


def test_text_points_are_refused_as_images_until_someone_says_so() -> None:
    words = some(side="text")
    with pytest.raises(SideMismatch, match="prior.sample"):
        words.require_image_side()
    words.as_image().require_image_side()
    assert words.side == "text"
    np.testing.assert_array_equal(words.as_image().vectors, words.vectors)


def test_replacing_vectors_keeps_labels_and_replacing_labels_keeps_vectors() -> None:
    points = some(2)
    assert points.with_vectors(np.ones((2, 3))).labels == points.labels
    renamed = points.with_labels(["x", "y"])
    assert renamed.labels == ("x", "y")
    np.testing.assert_array_equal(renamed.vectors, points.vectors)


def test_repr_shows_how_many_which_side_which_space_and_the_first_labels() -> None:
    shown = repr(some())
    for part in ("4", "image", "toy", "'label 0'", "…"):
        assert part in shown
