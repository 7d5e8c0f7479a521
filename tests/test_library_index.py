"""A large library is searched approximately: found, saved, grown, checked and forced."""

import hashlib
import hmac

import numpy as np
import pytest
from test_index_approximate import DIMENSION, crowds

from explorer import cache_files
from explorer.cache_files import write_cache
from explorer.errors import QueryError
from explorer.index import approximate, effort
from explorer.library import Library, search_index
from explorer.library.importing import plan
from explorer.library.store import create_store
from explorer.notes import collecting
from explorer.points import Points, Space

SPACE = Space("crowds", DIMENSION, "0" * 64)
ROWS = 6000


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """What is small here counts as large."""
    monkeypatch.setattr(search_index, "SMALL_NUMBERS", 0)


def put(library, tmp_path, name, vectors):
    """Import vectors; later ones of one name replace earlier ones."""
    np.save(tmp_path / name, 3 * vectors)
    for _ in library.importing_vectors(plan(tmp_path / name, SPACE)):
        pass


@pytest.fixture
def library(tmp_path):
    made = Library(create_store(tmp_path / "library", SPACE, "float32", "crowds"))
    put(made, tmp_path, "first.npy", crowds(ROWS))
    return made


@pytest.fixture
def builds(monkeypatch):
    """How often an index was built."""
    built = []

    def counted(source):
        built.append(len(source))
        return approximate.build(source)

    monkeypatch.setattr(search_index, "build", counted)
    return built


def query(seed=5):
    return Points(crowds(1, seed=seed), SPACE, "image")


def test_the_index_is_built_once_saved_and_told(library, builds):
    assert library.info()["index"] == "built at the first search"
    hits = library.search(query())
    exact = library.search(query(), index="exact")
    np.testing.assert_allclose(hits.scores, exact.scores, atol=1e-6)
    opened = Library.open(library.folder)
    np.testing.assert_array_equal(opened.search(query()).rows, hits.rows)
    assert builds == [ROWS]
    told = opened.info()
    assert told["index"].startswith("IVF") and told["index_recall"] >= approximate.PROMISE
    assert told["index_bytes"] == (library.cache_folder / search_index.NAME).stat().st_size


def test_new_rows_are_found_without_building_again(library, tmp_path, builds):
    library.search(query())
    new = crowds(1200, seed=11)
    put(library, tmp_path, "second.npy", new)
    for opened in (library, Library.open(library.folder)):
        for row in (0, 600, 1199):
            hits = opened.search(Points(new[row : row + 1], SPACE, "image"), 1)
            assert hits.rows.tolist() == [ROWS + row]
    assert builds == [ROWS]
    put(library, tmp_path, "third.npy", crowds(1200, seed=12))
    library.search(query())
    assert builds == [ROWS, ROWS + 2400]


def test_retired_rows_are_never_found_and_the_others_keep_their_places(library, tmp_path, builds):
    put(library, tmp_path, "second.npy", crowds(1200, seed=11))
    library.search(query())
    library.forget(tmp_path / "first.npy")
    assert len(library) == 1200
    units = library.points().unit
    for allowed in (None, range(1200)):
        exclude = None if allowed is None else [0]
        hits = library.search(query(), 20, exclude=exclude)
        scores = (units @ query().unit[0]).copy()
        scores[[] if exclude is None else exclude] = -2
        np.testing.assert_array_equal(hits.rows, np.argsort(-scores)[:20])
        np.testing.assert_allclose(hits.scores, scores[hits.rows], atol=1e-6)
    assert builds == [ROWS + 1200]


def test_a_filter_finds_what_an_exact_search_finds(library, tmp_path):
    library.set_columns({"seventh": [str(row % 7) for row in range(ROWS)]})
    for wanted in ("3", ["1", "3", "5"]):
        hits = library.search(query(), where={"seventh": wanted})
        exact = library.search(query(), where={"seventh": wanted}, index="exact")
        assert set(hits.table["seventh"]) <= set(wanted)
        np.testing.assert_array_equal(hits.rows, exact.rows)


def test_every_flipped_byte_is_noticed_and_the_index_built_again(library, builds):
    rows = library.search(query()).rows
    file = library.cache_folder / search_index.NAME
    whole = file.read_bytes()
    for count, place in enumerate([3, len(whole) // 3, len(whole) - 1]):
        broken = bytearray(whole)
        broken[place] ^= 4
        file.write_bytes(broken)
        with collecting() as notes:
            found = Library.open(library.folder).search(query())
        assert any("damaged" in sentence for sentence in notes)
        np.testing.assert_array_equal(found.rows, rows)
        assert len(builds) == count + 2


def test_a_saved_index_is_hashed_once(library, monkeypatch):
    """Hashing takes longer than all else of opening; checksum and seal share it."""
    library.search(query())
    size, hashed = (library.cache_folder / search_index.NAME).stat().st_size, []
    begin, sign = hashlib.sha256, hmac.digest

    class Counting:
        def __init__(self, content=b""):
            self.real = begin()
            self.update(content)

        def update(self, content):
            hashed.append(len(content))
            self.real.update(content)

        def __getattr__(self, name):
            return getattr(self.real, name)

    monkeypatch.setattr(cache_files.hashlib, "sha256", Counting)
    monkeypatch.setattr(
        cache_files.hmac, "digest", lambda s, m, kind: hashed.append(len(m)) or sign(s, m, kind)
    )
    assert cache_files.find_sealed(library.cache_folder / search_index.NAME, search_index.FORMAT)
    assert sum(hashed) < 1.01 * size


@pytest.mark.parametrize("content", [b"", b"{}", b"{}\n", b"\xff" * 500, None])
def test_an_index_that_somebody_sent_is_not_read(library, builds, tmp_path, monkeypatch, content):
    """Its checksum is right; the seal of this user's secret is not. None is one that works."""
    first = library.search(query())
    file = library.cache_folder / search_index.NAME
    if content is None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another user"))
    else:
        write_cache(file, search_index.FORMAT, content)
    again = Library.open(library.folder)
    assert again.info()["index"] == "built at the first search"
    assert np.array_equal(again.search(query()).rows, first.rows) and len(builds) == 2
    assert Library.open(library.folder).search(query()) is not None and len(builds) == 2


def test_a_recall_below_the_promise_is_said_and_the_search_is_exact(library, monkeypatch, builds):
    monkeypatch.setattr(effort, "LIST_SHARES", (1 / 32,))  # one list
    for _ in range(2):
        with collecting() as notes:
            opened = Library.open(library.folder)
            hits = opened.search(query())
        assert len(notes) == 1 and "all rows are compared" in notes[0]
        np.testing.assert_array_equal(hits.rows, opened.search(query(), index="exact").rows)
    assert builds == [ROWS]
    assert "exact, since" in library.info()["index"]


def test_one_kind_of_index_can_be_forced(library, monkeypatch, builds):
    monkeypatch.setattr(search_index, "SMALL_NUMBERS", 2**30)
    exact = library.search(query())
    assert builds == [] and library.info()["index"] == "exact"
    hits = library.search(query(), index="approximate")
    assert builds == [ROWS]
    np.testing.assert_allclose(hits.scores, exact.scores, atol=1e-6)
    with pytest.raises(QueryError, match="index is 'fast'"):
        library.search(query(), index="fast")


def test_a_lowest_score_counts_all_rows(library):
    scores = library.points().unit @ query().unit[0]
    assert library.search(query(), min_score=0.5).matching == (scores >= 0.5).sum()
    assert len(library.search(query(), min_score="auto")) >= 0


def test_an_index_is_built_and_grown_before_a_search_asks_for_it(library, tmp_path, builds):
    assert library.update_index() and builds == [ROWS] and not library.update_index()
    opened = Library.open(library.folder)
    assert opened.info()["index_recall"] >= approximate.PROMISE and not opened.update_index()
    put(opened, tmp_path, "few.npy", crowds(search_index.SAVED_GROWTH - 1, seed=11))
    assert not opened.update_index()
    put(opened, tmp_path, "second.npy", crowds(1, seed=12))
    assert opened.update_index() and not Library.open(library.folder).update_index()
    assert builds == [ROWS]


def test_an_interrupted_build_leaves_nothing_and_loses_no_row(library, monkeypatch):
    def interrupted(source):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search_index, "build", interrupted)
        with pytest.raises(KeyboardInterrupt):
            library.update_index()
    assert not (library.cache_folder / search_index.NAME).exists()
    assert len(Library.open(library.folder)) == ROWS and library.update_index()
