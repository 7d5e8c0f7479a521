import emoji
import numpy as np
import pytest
from coloured import dataset

from analysis.questions import pca
from explorer.errors import QueryError
from explorer.points import Points, Space

ROOM = Space("room", 3, "0f")


@pytest.fixture
def cloud():
    vectors = 9 + np.random.default_rng(0).normal(size=(200, 3)) * (1, 5, 2)
    return Points(vectors, ROOM, "image")


def test_components_by_hand():
    # mean (2, 5, 1); all the spread lies along the first dimension, then along the second
    cross = Points(np.array([[0, 5, 1], [4, 5, 1], [2, 6, 1], [2, 4, 1.0]]), ROOM, "image")
    found = pca.Components.fit(cross)
    kept = found.keep(cross, 1).vectors
    np.testing.assert_allclose(kept, [[0, 5, 1], [4, 5, 1], [2, 5, 1], [2, 5, 1]], atol=1e-6)
    assert found.kept(cross, 1) == pytest.approx(8 / 10)
    assert found.kept(cross, 2) == pytest.approx(1)


def test_variance_kept_agrees_with_the_eigenvalues(cloud):
    values = np.sort(np.linalg.eigvalsh(np.cov(cloud.vectors, rowvar=False)))[::-1]
    found = pca.Components.fit(cloud)
    for count in (1, 2, 3):
        share = values[:count].sum() / values.sum()
        assert found.kept(cloud, count) == pytest.approx(share, rel=1e-5)


def test_all_components_give_the_points_back(cloud):
    found = pca.Components.fit(cloud)
    np.testing.assert_allclose(found.keep(cloud, 3).vectors, cloud.vectors, rtol=1e-5)


def test_the_ladder_goes_as_far_as_there_are_components(cloud):
    assert pca.Components.fit(cloud).rungs((1, 2, 3, 4)) == [1, 2, 3]
    assert pca.Components.fit(cloud[:3]).rungs((1, 2, 3, 4)) == [1, 2]
    with pytest.raises(QueryError, match="2 points"):
        pca.Components.fit(cloud[:1])


def test_without_a_decoder_it_measures_the_variance_and_says_so(tmp_path):
    section = pca.section(dataset(tmp_path))
    assert "no decoder" in section.finding
    assert list(section.tables) == ["Variance kept"]


def test_pocket_climbs_the_ladder(tmp_path, pocket, sample):
    section = pca.section(emoji.dataset(tmp_path, pocket, sample, count=12))
    trips = section.tables["Round trip by rung"]
    assert trips["components"].tolist() == [5, 10, 20, 30, 35]
    assert trips[pca.TRIP].iloc[-1] > trips[pca.TRIP].iloc[0]
    assert "One image a row, from more and more components" in section.figures
