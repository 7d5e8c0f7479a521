"""The index finds what brute force finds, never a padded row, and never trusts a damaged cache."""

import numpy as np
import pytest

from explorer import index as index_module
from explorer.cache_files import write_cache
from explorer.errors import LibraryDamaged, QueryError
from explorer.index import FEW_QUERIES, Index


def directions(n: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def brute_force(base: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray):
    scores = queries.astype(np.float64) @ base.astype(np.float64).T
    scores[:, ~allowed] = -np.inf
    rows = np.argsort(-scores, axis=1)[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows


@pytest.mark.parametrize("few", [0, 2**21])
def test_search_finds_what_brute_force_finds(few, monkeypatch):
    monkeypatch.setattr(index_module, "FEW_SCORES", few)
    base, queries = directions(500), directions(20, seed=1)
    scores, rows = Index(base, 16).search(queries, k=7)
    expected_scores, expected_rows = brute_force(base, queries, 7, np.ones(500, bool))
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("count", [1, FEW_QUERIES + 1])
def test_search_among_allowed_rows_finds_what_brute_force_finds(share, count, monkeypatch):
    monkeypatch.setattr(index_module, "FEW_SCORES", 0)
    base, queries = directions(501), directions(count, seed=1)
    allowed = np.random.default_rng(2).random(501) < share
    _, rows = Index(base, 16).search(queries, k=5, allowed=allowed)
    np.testing.assert_array_equal(rows, brute_force(base, queries, 5, allowed)[1])


def test_a_score_does_not_depend_on_how_many_are_asked_and_equals_keep_their_order(monkeypatch):
    base = np.repeat(directions(700), 3, axis=0)[np.random.default_rng(3).permutation(2100)]
    index, queries = Index(base, 16), directions(FEW_QUERIES, seed=1)
    together = index.search(queries, 10)
    for place, query in enumerate(queries):
        scores, rows = index.search(query[None], 10)
        np.testing.assert_array_equal(scores[0], together[0][place])
        np.testing.assert_array_equal(rows[0], together[1][place])
        assert list(zip(-scores[0], rows[0], strict=True)) == sorted(
            zip(-scores[0], rows[0], strict=True)
        )
    monkeypatch.setattr(index_module, "FEW_SCORES", 0)
    many = index.search(np.repeat(queries, 2, axis=0), 10)
    np.testing.assert_allclose(many[0][::2], together[0], atol=1e-6)


def test_an_index_built_in_parts_is_the_index_built_at_once():
    base, queries = directions(100), directions(5, seed=1)
    _, at_once = Index(base, 16).search(queries, k=10)
    _, in_parts = Index((base[i : i + 30] for i in range(0, 100, 30)), 16).search(queries, k=10)
    np.testing.assert_array_equal(in_parts, at_once)


def test_many_queries_give_the_same_in_several_calls(monkeypatch):
    monkeypatch.setattr(index_module, "FEW_SCORES", 0)
    base, queries = directions(100), directions(50, seed=1)
    _, in_one = Index(base, 16).search(queries, k=3)
    monkeypatch.setattr(index_module, "MULTIPLY_ADDS_PER_CALL", 100 * 16 * 7)
    _, in_eight = Index(base, 16).search(queries, k=3)
    np.testing.assert_array_equal(in_eight, in_one)


def test_more_neighbours_than_rows_are_cut_and_never_padded():
    allowed = np.zeros(10, bool)
    allowed[[2, 7]] = True
    index = Index(directions(10), 16)
    _, rows = index.search(directions(3, seed=1), k=50, allowed=allowed)
    assert rows.shape == (3, 2) and set(rows.ravel()) == {2, 7}
    assert index.search(directions(3, seed=1), k=50)[1].shape == (3, 10)


def test_no_allowed_row_gives_no_neighbour():
    scores, rows = Index(directions(10), 16).search(directions(3), 4, np.zeros(10, bool))
    assert scores.shape == rows.shape == (3, 0)
    assert Index([], 16).search(directions(3), 4)[1].shape == (3, 0)


def test_wrong_queries_are_refused_with_the_numbers():
    index = Index(directions(10), 16)
    with pytest.raises(QueryError, match=r"\(2, 8\).*dimension 16"):
        index.search(directions(2, 8), 3)
    broken = directions(2)
    broken[1, 3] = np.nan
    with pytest.raises(QueryError, match="row 1 holds NaN"):
        index.search(broken, 3)
    with pytest.raises(QueryError, match="k is 0"):
        index.search(directions(2), 0)
    with pytest.raises(QueryError, match="10 rows"):
        index.search(directions(2), 3, np.ones(9, bool))


def test_a_saved_index_finds_the_same_after_loading(tmp_path):
    index, queries = Index(directions(100), 16), directions(5, seed=1)
    index.save(tmp_path / "index", "v1-abc")
    loaded = Index.load(tmp_path / "index", "v1-abc")
    np.testing.assert_array_equal(loaded.search(queries, 5)[1], index.search(queries, 5)[1])
    assert [file.name for file in tmp_path.iterdir()] == ["index"]


def test_every_flipped_bit_and_every_cut_of_a_saved_index_is_noticed(tmp_path):
    file = tmp_path / "index"
    Index(directions(20), 16).save(file, "v1")
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for position in [*range(100), *rng.integers(0, len(whole), 100)]:
        content = bytearray(whole)
        content[position] ^= 1 << int(rng.integers(8))
        file.write_bytes(content)
        with pytest.raises(LibraryDamaged):
            Index.load(file, "v1")
    for size in rng.integers(0, len(whole), 20):
        file.write_bytes(whole[:size])
        with pytest.raises(LibraryDamaged):
            Index.load(file, "v1")


def test_an_index_of_another_version_is_refused(tmp_path):
    Index(directions(20), 16).save(tmp_path / "index", "v1")
    with pytest.raises(LibraryDamaged, match="made for other vectors"):
        Index.load(tmp_path / "index", "v2")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8, b"IxFI" + b"\xff" * 100, b"\3\0\0\0" + b"\xff" * 12]
)
def test_a_forged_index_is_refused(tmp_path, content):
    """Its checksum is right, and it holds no vectors, or what is no number."""
    write_cache(tmp_path / "index", "key", content)
    with pytest.raises(LibraryDamaged):
        Index.load(tmp_path / "index", "key")


@pytest.mark.parametrize("count", [0, 1, 700])
def test_the_scores_of_all_rows_are_those_of_a_search(count):
    vectors = directions(count, 24)
    index = Index(vectors, 24)
    np.testing.assert_allclose(index.vectors, vectors, atol=1e-7)
    query = directions(1, 24, seed=1)
    scores = index.scores(query[0])
    assert scores.shape == (count,) and scores.dtype == np.float32
    if count:
        found, rows = index.search(query, count)
        np.testing.assert_allclose(scores[rows[0]], found[0], atol=1e-6)
    with pytest.raises(QueryError, match="dimension 24"):
        index.scores(query[0, :5])
