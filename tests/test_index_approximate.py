"""The approximate index returns exact scores of allowed rows, and finds as many as it promises."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from explorer.errors import QueryError
from explorer.index import Index, codes, effort
from explorer.index.approximate import FEW_ROWS, GROWTH, MAX_K, PROMISE, ApproximateIndex, build
from explorer.index.codes import Codes
from explorer.index.effort import FIRST_READ, _tried, measured
from explorer.index.rotation import LEFT_OUT
from explorer.index.saving import pack, summary_of, unpack

ROWS, DIMENSION = 12_000, 32


class InMemory:
    """Unit vectors as a source."""

    def __init__(self, vectors):
        self.vectors, self.dimension = vectors, vectors.shape[1]

    def __len__(self):
        return len(self.vectors)

    def units(self, rows):
        return self.vectors[rows]


def crowds(rows, seed=0, centres=60):
    """Unit vectors around a few centres, with more noise in some directions than in others."""
    random = np.random.default_rng(seed)
    spread = np.arange(1, DIMENSION + 1) ** -0.5
    middles = np.random.default_rng(9).normal(size=(centres, DIMENSION)) * spread
    vectors = middles[random.integers(centres, size=rows)]
    vectors = vectors + 0.5 * random.normal(size=vectors.shape) * spread
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def base():
    return crowds(ROWS)


@pytest.fixture(scope="module")
def index(base):
    return build(InMemory(base))


def found_of(index, exact, queries, allowed=None, k=10):
    """The share of the exact neighbours that are found; everything returned is checked."""
    scores, rows = index.search(queries, k, allowed)
    right, _ = exact.search(queries, k, allowed)
    assert scores.shape == rows.shape == right.shape
    assert allowed is None or allowed[rows].all()
    for query, found, cosines in zip(queries, rows, scores, strict=True):
        assert len(set(found)) == k
        np.testing.assert_allclose(cosines, exact.vectors[found] @ query, atol=1e-6)
        assert all(first >= second for first, second in pairwise(cosines))
    return float((scores >= right[:, -1:] - 1e-6).mean())


def test_queries_that_were_not_held_out_find_what_is_promised(index, base):
    assert index.recall >= PROMISE
    exact = Index(base, DIMENSION)
    for queries in (crowds(200, seed=5), crowds(200, seed=6)[:, ::-1].copy()):
        assert found_of(index, exact, queries) >= PROMISE - 0.01


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_filtered_searches_find_allowed_rows_and_as_many(index, base, share):
    allowed = np.random.default_rng(3).random(ROWS) < share
    assert allowed.sum() > FEW_ROWS
    exact = Index(base, DIMENSION)
    assert found_of(index, exact, crowds(200, seed=5), allowed) >= PROMISE - 0.01


def test_a_filter_whose_rows_lie_far_from_the_query_finds_them(index, base):
    exact, found = Index(base, DIMENSION), []
    for query in crowds(40, seed=5):
        away = base @ query
        allowed = away < np.quantile(away, 0.25)
        found.append(found_of(index, exact, query[None], allowed))
    assert np.mean(found) >= 0.95


def test_few_allowed_rows_and_many_neighbours_are_exact(index, base):
    exact, queries = Index(base, DIMENSION), crowds(5, seed=7)
    for count in (1, 50, FEW_ROWS):
        allowed = np.zeros(ROWS, bool)
        allowed[np.random.default_rng(count).choice(ROWS, count, replace=False)] = True
        k = min(12, count)
        np.testing.assert_array_equal(
            index.search(queries, 12, allowed)[1], exact.search(queries, k, allowed)[1]
        )
    k = MAX_K + 1
    np.testing.assert_array_equal(index.search(queries, k)[1], exact.search(queries, k)[1])
    assert index.search(queries, 12, np.zeros(ROWS, bool))[1].shape == (5, 0)


def test_a_mask_that_stays_finds_what_a_fresh_one_finds(index):
    queries, masks = crowds(5, seed=7), np.random.default_rng(3).random((2, ROWS)) < 0.4
    fresh = [index.search(queries, 10, mask)[1] for mask in masks]
    masks.setflags(write=False)
    kept = list(masks)
    for _ in range(2):
        for mask, rows in zip(kept, fresh, strict=True):
            np.testing.assert_array_equal(index.search(queries, 10, mask)[1], rows)


def test_the_scores_of_all_rows_are_exact(index, base):
    query = crowds(1, seed=8)[0]
    np.testing.assert_allclose(index.scores(query), base @ query, atol=1e-6)


def test_after_growing_new_rows_are_found_and_recall_is_that_of_all(base):
    index, more = build(InMemory(base[:10_000])), base[10_000:]
    before = index.codes
    assert index.grow(InMemory(base)) and index.codes is before and len(index) == ROWS
    found = index.search(more[:200], 1)[1][:, 0]
    assert (found == np.arange(10_000, 10_200)).mean() >= PROMISE
    asked = index.held_out[0]
    cosines = asked.queries @ base.T
    cosines[asked.own >= 0, asked.own[asked.own >= 0]] = -2
    right = np.sort(cosines, axis=1)[:, ::-1][:, :10]
    np.testing.assert_allclose(np.sort(asked.scores, axis=1)[:, ::-1][:, :10], right, atol=1e-6)
    assert index.recall >= PROMISE


def test_an_index_that_would_grow_much_is_built_again(base):
    index = build(InMemory(base[: int(ROWS / GROWTH) - 10]))
    assert not index.grow(InMemory(base))


def test_duplicates_beyond_counting_do_not_lower_the_recall(base):
    same = np.concatenate([base[:4000], np.repeat(base[:1], 400, axis=0)])
    assert build(InMemory(same)).recall >= PROMISE


def test_a_packed_index_finds_the_same(index, base):
    content, queries = pack(index, ["a", "b"]), crowds(20, seed=7)
    opened = unpack(content, InMemory(base))
    assert opened is not None
    np.testing.assert_array_equal(opened.search(queries, 10)[1], index.search(queries, 10)[1])
    assert opened.efforts == index.efforts
    summary = summary_of(content)
    assert (summary.of, summary.rows, summary.kind) == (["a", "b"], ROWS, index.kind)
    with pytest.raises(ValueError, match="not an index of these vectors"):
        unpack(content, InMemory(base[:, :16]))


@pytest.mark.parametrize("dimension", [7, 12])
def test_every_dimension_can_be_coded(dimension):
    base = crowds(4000)[:, :dimension]
    base = base / np.linalg.norm(base, axis=1, keepdims=True)
    index = build(InMemory(base))
    rotated = index.codes.rotation(base[:50])
    np.testing.assert_allclose(rotated @ rotated.T, base[:50] @ base[:50].T, atol=1e-5)
    assert found_of(index, Index(base, dimension), base[:50]) >= PROMISE - 0.01


def test_directions_that_hold_little_are_left_out_of_the_codes():
    fading = np.exp(-np.arange(DIMENSION) / 3)
    base = np.random.default_rng(2).normal(size=(5000, DIMENSION)) * fading
    base = (base / np.linalg.norm(base, axis=1, keepdims=True)).astype(np.float32)
    index = build(InMemory(base))
    assert index.codes.numbers <= DIMENSION // 2 and index.codes.dimension == DIMENSION
    assert index.kind.startswith(f"OPQ{index.codes.numbers // 2}_{index.codes.numbers},IVF")
    reduced = index.codes.rotation(base[:200])
    lost = 1 - np.einsum("nd,nd->n", reduced, reduced)
    assert -1e-5 < lost.mean() < 1.2 * LEFT_OUT
    again = unpack(pack(index, ["a"]), InMemory(base))
    assert found_of(index, Index(base, DIMENSION), base[:50]) >= PROMISE - 0.01
    np.testing.assert_array_equal(again.search(base[:9], 5)[1], index.search(base[:9], 5)[1])


def test_what_fewer_lists_find_follows_from_a_search_of_all(index):
    for asked in index.held_out:
        tried = _tried(index.codes, asked)
        assert len({one.lists for one in tried}) > 5
        for one in tried[:: len(tried) // 25]:
            real = measured(index.codes, asked, one)
            for kind, recall in one.recall.items():
                assert recall == pytest.approx(real.recall[kind], abs=0.011)


@pytest.fixture
def narrow(index, base, monkeypatch):
    """The index, which leaves out lists that lie too far, however little that saves."""
    monkeypatch.setattr(effort, "SECOND_SCAN", 0)
    monkeypatch.setattr(codes, "FIRST_SHARE", 1 / 8)
    every, seventh = index.efforts
    wide = replace(every, lists=index.codes.lists)
    found = effort.narrowed(index.codes, index.held_out[0], wide)
    assert found.slack < codes.ALL and found.lowest >= min(effort.AIM, wide.lowest)
    return ApproximateIndex(
        InMemory(base), index.codes, index.held_out, (found, seventh), len(index)
    )


def test_lists_that_lie_too_far_are_left_out_and_the_neighbours_found(narrow, base, monkeypatch):
    looked_at, scan = [], Codes._scan

    def counted(self, queries, near, chosen, *others):
        looked_at.append(np.count_nonzero(chosen >= 0) / len(queries))
        return scan(self, queries, near, chosen, *others)

    monkeypatch.setattr(Codes, "_scan", counted)
    exact, near_rows = Index(base, DIMENSION), crowds(200, seed=5)
    assert found_of(narrow, exact, near_rows) >= PROMISE - 0.01
    assert sum(looked_at) < 0.8 * narrow.codes.lists
    live = np.random.default_rng(3).random(ROWS) < 0.9
    for queries in (near_rows, crowds(200, seed=6)[:, ::-1].copy()):
        for k in (1, 10, 40):
            assert found_of(narrow, exact, queries, k=k) >= PROMISE - 0.01
            assert found_of(narrow, exact, queries, live, k) >= PROMISE - 0.01


def test_without_slack_to_spare_every_list_is_looked_at(index):
    queries, some = crowds(20, seed=7), (index.codes.lists // 2, 64)
    for slack in (codes.ALL, 1.9):
        for allowed in (None, np.arange(ROWS) % 3 > 0):
            near = index.codes.search_near(queries, *some, slack, 10, allowed)
            plain = index.codes.search(queries, *some, allowed)
            np.testing.assert_allclose(near[0], plain[0], atol=1e-6)


def test_no_row_is_read_that_cannot_be_among_the_nearest(index, base):
    class Counting(InMemory):
        read = 0

        def units(self, rows):
            self.read += len(rows)
            return super().units(rows)

    source, queries = Counting(base), crowds(50, seed=5)
    counting = ApproximateIndex(source, index.codes, index.held_out, index.efforts, ROWS)
    every, most = index.efforts[0], 0
    scores, _ = index.codes.search(queries, every.lists, every.candidates)
    first = np.partition(scores, -FIRST_READ)[:, -FIRST_READ:]
    rows = counting.search(queries, 10)[1]
    for code_scores, best_first in zip(scores, np.sort(first)[:, ::-1], strict=True):
        tenth = best_first[9] - every.margin  # the exact scores differ from it by the margin
        most += max(FIRST_READ, np.count_nonzero(code_scores + every.margin >= tenth))
    assert source.read <= most
    np.testing.assert_array_equal(rows, index.search(queries, 10)[1])


def test_wrong_queries_are_refused(index):
    with pytest.raises(QueryError, match="dimension 32"):
        index.search(crowds(2)[:, :8], 3)
    with pytest.raises(QueryError, match="k is 0"):
        index.search(crowds(2), 0)
    with pytest.raises(QueryError, match=f"{ROWS} rows"):
        index.search(crowds(2), 3, np.ones(9, bool))
