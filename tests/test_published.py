"""Published libraries: the same search as of a folder; readers never see half of a version."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from fakes import ColourEncoder, coloured, image, make_tar
from milvus_places import place_in
from PIL import Image
from test_index_approximate import InMemory
from typer.testing import CliRunner

from explorer import cli
from explorer.errors import (
    ExplorerError,
    ImageError,
    LibraryError,
    LibraryNotFound,
    QueryError,
    SpaceMismatch,
)
from explorer.index.held_out import HeldOut
from explorer.library import Library
from explorer.notes import collecting
from explorer.points import Points, Space
from explorer.scale import address as addresses
from explorer.scale import published, publishing
from explorer.scale.address import Address
from explorer.scale.effort import chosen
from explorer.scale.entities import filter_of, identity
from explorer.scale.publishing import publish

pytestmark = pytest.mark.skipif(find_spec("milvus_lite") is None, reason="Milvus is not installed")
ROWS = 60
TAGS = ['a "quoted" one', "it's", "back\\slash", "ünïcode", None]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A library of a folder and a tar, with columns of text, numbers, truth and nothing."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "photos").mkdir()
    for number in range(ROWS // 2):
        (folder / "photos" / f"{number:03}.png").write_bytes(image(number))
    make_tar(folder / "a.tar", [(f"{n:03}.png", image(n)) for n in range(ROWS // 2, ROWS)])
    library = Library.create(folder / "a.lib", coloured())
    library.add([folder / "photos", folder / "a.tar"], encoder=ColourEncoder(), workers=0)
    library.set_columns(
        {
            "tag": [TAGS[n % len(TAGS)] for n in range(ROWS)],
            "digit": [n % 7 for n in range(ROWS)],
            "weight": [n / 4 if n % 3 else None for n in range(ROWS)],
            "good": [n % 2 == 0 for n in range(ROWS)],
        }
    )
    library._encoder = ColourEncoder()
    return library


@pytest.fixture(scope="module")
def place(local, tmp_path_factory):
    address = place_in(tmp_path_factory.mktemp("served"))
    assert list(publish(local, address))[-1].done == ROWS
    return address


@pytest.fixture(scope="module", params=["folder", "Milvus"])
def library(request, local, place):
    """The same library in a folder and on a server: one contract for both."""
    if request.param == "folder":
        return local
    served = Library.open(place)
    served._encoder = ColourEncoder()
    return served


def ranked(library, query, allowed=None):
    """Rows and cosines, best first, from the vectors alone."""
    vectors = np.asarray(library.vectors[:])
    scores = vectors @ query.unit[0] / np.linalg.norm(vectors, axis=1)
    rows = np.argsort(-scores, kind="stable")
    rows = rows if allowed is None else rows[np.isin(rows, allowed)]
    return rows, scores[rows]


def test_a_search_finds_the_nearest_rows(library):
    for row in (0, 31, 59):
        query = library.points([row])
        rows, scores = ranked(library, query)
        for index in ("auto", "exact"):
            hits = library.search(query, k=7, index=index)
            assert hits.rows[0] == row and len(hits) == 7
            assert np.allclose(hits.scores, scores[:7], atol=1e-5)
            assert set(hits.rows) == set(rows[:7])
            assert np.allclose(hits.points.vectors, library.vectors[hits.rows], atol=1e-6)
    assert len(library.search(query, k=1000)) == ROWS == len(library)


def test_words_are_encoded_by_the_librarys_own_model(library):
    hits = library.search("red", k=3)
    rows, scores = ranked(library, library.encoder.encode_text("red"))
    assert list(hits.rows) == list(rows[:3]) and np.allclose(hits.scores, scores[:3], atol=1e-5)


@pytest.mark.parametrize(
    ("where", "right"),
    [
        *[({"tag": tag}, lambda n, tag=tag: TAGS[n % 5] == tag) for tag in TAGS],
        ({"tag": ["it's", None]}, lambda n: TAGS[n % 5] in ("it's", None)),
        ({"digit": 3}, lambda n: n % 7 == 3),
        ({"digit": "3"}, lambda n: n % 7 == 3),
        ({"digit": [1, 2.0], "good": True}, lambda n: n % 7 in (1, 2) and n % 2 == 0),
        ({"good": "false"}, lambda n: n % 2 == 1),
        ({"weight": 1}, lambda n: n == 4),
        ({"weight": None}, lambda n: n % 3 == 0),
        ({"width": 5}, lambda n: True),
    ],
)
def test_a_filter_leaves_the_rows_that_have_a_wanted_value(library, where, right):
    query = library.points([9])
    rows, scores = ranked(library, query, [n for n in range(ROWS) if right(n)])
    hits = library.search(query, k=ROWS, where=where)
    assert sorted(hits.rows) == sorted(rows)
    assert np.allclose(hits.scores, scores, atol=1e-5)
    few = library.search(query, k=2, where=where, exclude=[int(rows[0])])
    assert rows[0] not in few.rows and set(few.rows) <= set(rows)


def test_what_cannot_be_filtered_by_is_named(library):
    with pytest.raises(QueryError, match=r"no column 'tagg'; its columns are .*tag, digit"):
        library.search("red", where={"tagg": 1})
    with pytest.raises(QueryError, match=r"No image has 'its' in the column 'tag'.*it's"):
        library.search("red", where={"tag": "its"})
    for k in (0, -1):
        with pytest.raises(QueryError, match="k is"):
            library.search("red", k=k)
    with pytest.raises(QueryError, match="no row 60"):
        library.search("red", exclude=[60])
    other = Points(np.ones((1, 8), np.float32), Space("other", 8, "0" * 64), "image", ("",))
    with pytest.raises(SpaceMismatch):
        library.search(other)


@pytest.mark.parametrize("least", [0.0, 0.97, 0.99, 1.1, "auto"])
def test_a_lowest_score_counts_what_reaches_it(library, local, least):
    query = library.points([9])
    hits, right = (each.search(query, k=5, min_score=least) for each in (library, local))
    assert hits.matching == right.matching and list(hits.rows) == list(right.rows)
    if isinstance(least, float):
        assert hits.matching == (ranked(library, query)[1] >= least).sum()
    assert library.search(query, min_score=least, where={"good": True}).matching <= hits.matching


def test_more_that_match_than_one_answer_of_the_server_holds_are_counted(
    library, local, monkeypatch
):
    monkeypatch.setattr(published, "MOST_HITS", 10)
    hits, right = (each.search(local.points([9]), k=5, min_score=0.0) for each in (library, local))
    assert hits.matching == right.matching > 10 and list(hits.rows) == list(right.rows)


def test_a_server_that_fails_is_not_said_to_hold_nothing(place, monkeypatch):
    from pymilvus import MilvusClient
    from pymilvus.exceptions import MilvusException

    def fail(*_, **__):
        raise MilvusException(2, "no space left")

    monkeypatch.setattr(MilvusClient, "describe_alias", fail)
    with pytest.raises(LibraryError, match="no space left") as caught:
        Library.open(place)
    assert not isinstance(caught.value, LibraryNotFound)


def test_hits_tell_the_same(library, local):
    hits, right = (each.search("red", k=9) for each in (library, local))
    for mine, other in zip(hits, right, strict=True):
        assert mine | {"score": 0} == other | {"score": 0}
        assert abs(mine["score"] - other["score"]) < 1e-5
    assert hits.points.labels == right.points.labels and hits.items == right.items
    columns = list(right.table.columns)
    assert list(hits.table.columns) == columns
    assert list(hits.table["path"]) == list(right.table["path"])
    assert hits._repr_html_().count("<img") == right._repr_html_().count("<img") == 9


def test_pages_of_a_search_go_on_where_the_one_before_ended(library):
    query, whole = library.points([9]), library.search(library.points([9]), k=30)
    first = library.search(query, k=10)
    second = library.search(query, k=10, exclude=first.rows.tolist())
    assert [*first.rows, *second.rows] == list(whole.rows[:20])


def test_rows_and_images_are_the_same(library, local):
    assert library.rows["item"].tolist() == local.rows["item"].tolist()
    assert library.columns == local.columns and library.model == local.model
    assert (library.space, library.side, library.dtype) == (local.space, local.side, local.dtype)
    for row in (0, 59):
        assert library.open_image(row).tobytes() == local.open_image(row).tobytes()
    with pytest.raises(QueryError, match="no row 60"):
        library.open_image(60)


def test_an_image_that_is_gone_or_another_is_shown_small(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, colour in (("0.png", "red"), ("1.png", "blue")):
        Image.new("RGB", (600, 400), colour).save(tmp_path / "photos" / name)
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add(tmp_path / "photos", encoder=ColourEncoder(), workers=0)
    for name, side in (("small", 192), ("none", 0)):
        list(publish(library, place_in(tmp_path, name), thumbnail_side=side))
    served = Library.open(place_in(tmp_path, "small"))
    assert served.open_image(0).size == (600, 400)
    (tmp_path / "photos" / "0.png").unlink()
    Image.new("RGB", (600, 400), "green").save(tmp_path / "photos" / "1.png")
    for row, colour in ((0, (255, 0, 0)), (1, (0, 0, 255))):
        small = served.open_image(row)
        assert small.size == (192, 128)
        assert np.abs(np.asarray(small, int) - colour).max() < 10
    with pytest.raises(ImageError, match=r"0\.png is not on this machine"):
        Library.open(place_in(tmp_path, "none")).open_image(0)


def test_what_is_published_is_only_read(place):
    served = Library.open(place)
    for call in (lambda: served.add("x"), served.compact, lambda: served.set_columns({})):
        with pytest.raises(LibraryError, match="published and only read"):
            call()
    run = CliRunner().invoke(cli.unclip, ["index", "x", "--library", place])
    assert run.exit_code == 2 and "published and only read" in run.output


def publications(library, address):
    """The collection that readers see, and how many rows and ids it has."""
    where = Address.parse(address)
    client = where.connect()
    name = publishing.target_of(client, where.name)
    rows = client.query(name, filter="row >= 0", output_fields=["id", "row"], limit=10_000)
    named = (each for each in client.list_collections() if each.startswith(f"{where.name}_"))
    others = [each for each in named if each != name]
    client.close()
    return name, rows, others


def test_a_publication_that_is_interrupted_ten_times_is_never_half_seen(
    local, tmp_path, monkeypatch
):
    monkeypatch.setattr(publishing, "ROWS_AT_ONCE", 5)
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add(local.folder.parent / "photos", encoder=ColourEncoder(), workers=0)
    address = place_in(tmp_path)
    list(publish(library, address, thumbnail_side=0))
    before, seen = publications(library, address)[0], 0
    library.add([local.folder.parent / "a.tar"], encoder=ColourEncoder(), workers=0)
    for interruption in range(1, 11):
        steps = publish(library, address, thumbnail_side=0)
        for step in steps:
            seen = max(seen, step.done)
            if step.done >= 5 * interruption:
                break
        steps.close()
        name, rows, _ = publications(library, address)
        assert name == before and len(rows) == ROWS // 2
        assert len(Library.open(address)) == ROWS // 2
    assert seen == 50
    reader, query = Library.open(address), library.points([0])
    assert list(publish(library, address, thumbnail_side=0))[-1].done == ROWS
    name, rows, others = publications(library, address)
    assert name != before and others == [before]  # where readers came from stays
    assert len({row["id"] for row in rows}) == len({r["row"] for r in rows}) == len(rows) == ROWS
    assert len(reader) == ROWS // 2 and len(reader.search(query, k=99)) == ROWS // 2
    reader.refresh()
    assert len(reader) == ROWS == len(reader.search(query, k=99))


def test_publishing_again_sends_nothing(local, place, monkeypatch):
    name = publications(local, place)[0]
    from pymilvus import MilvusClient

    monkeypatch.setattr(MilvusClient, "upsert", None)
    assert list(publish(local, place))[-1].done == ROWS
    assert publications(local, place)[0] == name


def test_a_server_that_lost_rows_is_not_gone_over_to(local, tmp_path, monkeypatch):
    from pymilvus import MilvusClient

    whole = MilvusClient.upsert
    monkeypatch.setattr(
        MilvusClient, "upsert", lambda self, name, rows, **more: whole(self, name, rows[1:], **more)
    )
    address = place_in(tmp_path)
    with pytest.raises(LibraryError, match="has 59 rows of 60"):
        list(publish(local, address))
    with pytest.raises(LibraryNotFound, match="Nothing is published"):
        Library.open(address)


def test_recall_is_measured_and_printed(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(120):
        (tmp_path / "photos" / f"{number:03}.png").write_bytes(image(number))
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add(tmp_path / "photos", encoder=ColourEncoder(), workers=0)
    words = ["publish", str(library.folder), "--to", place_in(tmp_path)]
    run = CliRunner().invoke(cli.unclip, [*words, "--thumbnail-side", "0"])
    assert run.exit_code == 0, run.output
    assert "120 images published" in run.output
    assert "recall@10 against exact search: 100.0% (image)" in run.output
    found = CliRunner().invoke(cli.unclip, ["info", place_in(tmp_path)])
    assert "120 images in" in found.output, found.output


class Server:
    """A server whose index misses the five nearest rows of a search that looks at too little."""

    def __init__(self, units, enough):
        self.units, self.enough, self.efforts = units, enough, []

    def search(self, _name, queries, *, limit, search_params, **_more):
        self.efforts.append(search_params["params"]["ef"])
        rows = np.argsort(-(self.units @ queries[0]))[5 * (self.efforts[-1] < self.enough) :]
        return [[{"entity": {"row": int(row)}} for row in rows[:limit]]]


@pytest.mark.parametrize(("enough", "right"), [(0, 64), (200, 256), (10**6, 4096)])
def test_the_least_effort_that_finds_enough_is_chosen_and_too_little_is_said(enough, right):
    points = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32)
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    counts = (20, 20, 20)
    held = HeldOut.of(InMemory(units), np.random.default_rng(1), counts, counts)
    held.look(0, held.queries @ units.T)
    server = Server(units, enough)
    with collecting() as notes:
        effort, recall, milliseconds = chosen(server, "a", held)
    assert effort == right == server.efforts[-1] and milliseconds > 0
    assert (min(recall.values()) >= 0.99) == (enough <= 4096) == (not notes)


@pytest.mark.parametrize(
    "wrong", ["milvus://", "milvus://host", "milvus://host/a-b", "milvus:host/a", "s3://a/b", "a"]
)
def test_what_is_no_address_is_refused(local, wrong):
    with pytest.raises(QueryError, match="no address of a published library"):
        next(publish(local, wrong))


def test_addresses_are_read_as_pathlib_writes_them():
    for text in ("milvus://h:1/a", "milvus+https://h/a", "milvus:///tmp/x.db/a"):
        assert Address.parse(str(Path(text))) == Address.parse(text)
        assert Address.parse(str(Address.parse(text))) == Address.parse(text)
    assert Address.parse("milvus+https://h/a").uri == "https://h:19530"


def test_nobody_there_and_nothing_installed_are_one_sentence(local, monkeypatch, tmp_path):
    with pytest.raises(LibraryNotFound, match="Nothing is published at milvus://.*/b"):
        Library.open(place_in(tmp_path, "b"))
    with pytest.raises(QueryError, match="no folder"):
        Library.open(f"milvus://{tmp_path}/gone/a.db/b")
    monkeypatch.setattr(addresses, "find_spec", lambda _: None)
    with pytest.raises(ExplorerError, match=r"pip install 'unclip-explorer\[milvus\]'"):
        Library.open(place_in(tmp_path, "b"))


def test_ids_are_of_the_content():
    record = {"path": b"/a", "member": b"", "sha256": "0"}
    same = identity(dict(record))
    assert identity(record) == same and len(same) == 32
    others = [{"path": b"/b"}, {"member": b"x"}, {"sha256": "1"}, {"path": b"/", "member": b"a"}]
    assert len({same, *(identity(record | other) for other in others)}) == 5


def test_expressions_cannot_be_broken_out_of():
    assert filter_of('a"]', ['" or row >= 0 or "']) == (
        '(texts["a\\"]"] == "\\" or row >= 0 or \\"")'
    )
    assert filter_of("a", []) == "row < 0"


PUBLISHER = """
import sys
from explorer.library import Library
from explorer.scale import published, publishing
publishing.ROWS_AT_ONCE = 5
for step in publishing.publish(Library.open(sys.argv[1]), sys.argv[2], thumbnail_side=0):
    print(step.done, flush=True)
"""


@pytest.mark.slow
def test_a_publisher_that_is_killed_ten_times_doubles_nothing(local, tmp_path):
    address = place_in(tmp_path)
    for kill in range(10):
        words = [sys.executable, "-c", PUBLISHER, str(local.folder), address]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as publisher:
            for line in publisher.stdout:
                if int(line) >= 5 * (kill + 1):
                    os.kill(publisher.pid, signal.SIGKILL)
                    break
        assert publisher.returncode == -signal.SIGKILL
        # A file of Milvus Lite is open in one process at a time, and this one is still to publish.
        words = [sys.executable, "-m", "explorer", "info", address]
        found = subprocess.run(words, check=False, capture_output=True, text=True)
        assert found.returncode == LibraryNotFound.exit_code and "published" in found.stderr
    assert list(publish(local, address, thumbnail_side=0))[-1].done == ROWS
    _, rows, others = publications(local, address)
    assert len({row["id"] for row in rows}) == len(rows) == ROWS and not others
