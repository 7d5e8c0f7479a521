"""What an index says it finds is what fresh queries find, and no less than it promises."""

import numpy as np
import pytest
from test_index_approximate import ROWS, InMemory, crowds

from explorer.index import approximate, codes
from explorer.index.approximate import FILTER_STEP, PROMISE, build, chosen, drawn, look
from explorer.index.effort import measured
from explorer.index.held_out import DEPTH


@pytest.fixture(scope="module")
def base():
    return crowds(ROWS)


@pytest.fixture(scope="module")
def index(base):
    return build(InMemory(base))


def units(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fresh_queries_of_each_kind_find_what_is_promised(base, monkeypatch, seed):
    monkeypatch.setattr(codes, "ROWS_PER_LIST", 100)
    index, random = build(InMemory(base), seed), np.random.default_rng(100 + seed)
    assert index.recall >= PROMISE and index.codes.lists == 128
    a, b, c = (base[random.choice(ROWS, 300, replace=False)] for _ in range(3))
    noise = units(random.normal(size=a.shape))
    words = 0.5 * a + 0.4 * b + 0.4 * c - 1.3 * base.mean(axis=0) + 0.8 * noise
    allowed = np.arange(ROWS) % FILTER_STEP == 2
    for queries in (units(a + 0.3 * noise), units(a + b), units(words)):
        right = np.sort(queries @ base.T, axis=1)[:, -10:]
        found = (index.search(queries, 10)[0] >= right[:, :1] - 1e-6).mean(axis=1)
        assert found.mean() + 2 * found.std() / 300**0.5 >= PROMISE
        right = np.sort(queries @ base[allowed].T, axis=1)[:, -10:]
        found = (index.search(queries, 10, allowed)[0] >= right[:, :1] - 1e-6).mean(axis=1)
        assert found.mean() + 2 * found.std() / 300**0.5 >= PROMISE


def asked_of(base, seed):
    """Held-out queries that have looked at all rows, of all and of every seventh."""
    both = drawn(InMemory(base), np.random.default_rng(seed))
    look(both, 0, base)
    return both


def test_recall_is_that_of_queries_by_which_nothing_was_chosen(index, base, monkeypatch):
    """Few queries choose, so the effort is lucky with them; what is said must not be."""
    monkeypatch.setattr(approximate, "CHOOSING", (4, 4, 4))
    monkeypatch.setattr(approximate, "MEASURING", (64, 64, 64))
    lucky, said = [], []
    for seed in range(12):
        both = asked_of(base, seed)
        every = chosen(index.codes, both)[0]
        fresh = asked_of(base, 100 + seed)[0].split()[1]
        found = np.mean(list(measured(index.codes, fresh, every).recall.values()))
        of_those = measured(index.codes, both[0].split()[0], every).recall
        lucky.append(np.mean(list(of_those.values())) - found)
        said.append(np.mean(list(every.recall.values())) - found)
    errors = np.std([lucky, said], axis=1) / len(said) ** 0.5
    assert np.mean(lucky) > 3 * errors[0] and abs(np.mean(said)) < 3 * errors[1]


def test_if_too_little_is_found_all_queries_choose_and_others_measure(base, monkeypatch):
    once = build(InMemory(base[:3000]))
    assert once.recall >= PROMISE
    monkeypatch.setattr(approximate, "PROMISE", 1.01)
    again = build(InMemory(base[:3000]))
    for first, both in zip(once.held_out, again.held_out, strict=True):
        choosing, measuring = both.split()
        assert len(both.queries) == 2 * len(first.queries)
        np.testing.assert_array_equal(choosing.queries[: len(first.queries)], first.queries)
        assert not (measuring.queries[:, None] == choosing.queries).all(axis=2).any()
        cosines = both.queries @ base[:3000].T
        cosines[:, np.arange(3000) % both.step > 0] = -2
        cosines[both.own >= 0, both.own[both.own >= 0]] = -2
        right = np.sort(cosines, axis=1)[:, : -DEPTH - 1 : -1]
        np.testing.assert_allclose(np.sort(both.scores, axis=1)[:, ::-1], right, atol=1e-6)
