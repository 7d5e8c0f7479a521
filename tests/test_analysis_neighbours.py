import numpy as np
import pytest
from coloured import dataset

from analysis.questions import neighbours
from explorer.errors import QueryError
from explorer.points import Points, Space

PLANE = Space("plane", 2, "0f")


@pytest.fixture
def cloud():
    return np.random.default_rng(0).normal(size=(300, 12))


def test_nearest_agrees_with_brute_force_in_chunks_of_any_size(cloud, monkeypatch):
    rows, unit = np.array([0, 7, 299]), cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    cosines = unit[rows] @ unit.T
    cosines[np.arange(3), rows] = -2
    order = np.argsort(-cosines, axis=1)[:, :5]
    for size in (2, 64, 4096):
        monkeypatch.setattr(neighbours, "CHUNK", size)
        scores, found = neighbours.nearest(cloud, rows, 5)
        assert found.tolist() == order.tolist()
        assert scores == pytest.approx(np.take_along_axis(cosines, order, 1), abs=1e-6)


def test_a_copy_is_a_neighbour_but_a_image_is_not_its_own():
    scores, found = neighbours.nearest(np.array([[1.0, 0], [2, 0], [0, 1]]), np.arange(3), 9)
    assert found.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert scores.tolist() == [[1, 0], [1, 0], [0, 0]]


def test_hubness_by_hand():
    # 0 is everyone's nearest: occurrences 3, 1, 0, 0, of mean 1, variance 1.5, third moment 1.5
    table = neighbours.hubness(np.array([[1], [0], [0], [0]]), 4, ks=(1, 2))
    assert table["k"].tolist() == [1]
    assert table["skewness"][0] == pytest.approx(1.5 / 1.5**1.5)
    assert table["most often"][0] == 3
    assert table[neighbours.NOBODYS][0] == 0.5
    assert table["held by the top 1 %"][0] == 0.75


def test_the_skewness_agrees_with_scipy(cloud):
    from scipy.stats import skew

    _, found = neighbours.nearest(cloud, np.arange(300), 10)
    counts = np.bincount(found.ravel(), minlength=300)
    assert neighbours.hubness(found, 300, (10,))["skewness"][0] == pytest.approx(skew(counts))


def test_a_map_is_judged_at_every_k_below_half_the_points(cloud):
    table = neighbours.faithfulness(cloud, cloud[:, :2], ks=(3, 10, 150))
    assert table["kind"].tolist() == ["trustworthiness"] * 2 + ["continuity"] * 2
    assert table["k"].tolist() == [3, 10, 3, 10]
    assert (table["score"] < 1).all()


def test_copies_come_once_and_the_closest_first():
    scores, found = np.array([[0.5], [0.9], [0.9]]), np.array([[1], [5], [2]])
    table = neighbours.copies(scores, found, np.array([0, 2, 5]))
    assert table.to_numpy().tolist() == [[2, 5, 0.9], [0, 1, 0.5]]


def test_the_medoid_is_the_member_with_the_highest_mean_cosine():
    rng = np.random.default_rng(0)
    angles = np.concatenate([rng.normal(0, 0.1, 30), rng.normal(2, 0.1, 20)])
    points = Points(np.stack([np.cos(angles), np.sin(angles)], axis=1), PLANE, "image")
    table = neighbours.medoids(points, 2)
    cosines = points.unit @ points.unit.T
    expected = [cosines[:30, :30].mean(1).argmax(), 30 + cosines[30:, 30:].mean(1).argmax()]
    assert table["place"].tolist() == expected
    assert table["size"].tolist() == [30, 20]


@pytest.mark.slow  # the import of UMAP
def test_the_section_finds_the_colours(tmp_path):
    section = neighbours.section(dataset(tmp_path, each=10))
    pairs = section.tables["Most alike pairs"]
    assert (pairs["image"] == pairs["other image"]).all()
    assert section.tables["Medoids of groups"]["size"].sum() == 40
    assert len(section.tables["Outliers"]) == 40
    assert len(section.figures) == 6


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(QueryError, match="12 images"):
        neighbours.section(dataset(tmp_path, each=2))
