"""Versions of a published library: what was found stays, commands say what is so."""

import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from fakes import ColourEncoder, coloured, image, make_tar
from milvus_places import place_in
from PIL import Image
from typer.testing import CliRunner

from explorer import cli
from explorer.errors import ImageError, LibraryError, QueryError
from explorer.images import budget, open_image
from explorer.library import Library
from explorer.library.subset import write_subset
from explorer.notes import collecting
from explorer.places import is_published
from explorer.scale import published, publishing
from explorer.scale.address import Address
from explorer.scale.publishing import publish

pytestmark = pytest.mark.skipif(find_spec("milvus_lite") is None, reason="Milvus is not installed")


def painted(folder, colours, first=0):
    folder.mkdir(exist_ok=True)
    for number, colour in enumerate(colours, first):
        Image.new("RGB", (60, 40), colour).save(folder / f"{number}.png")


@pytest.fixture
def growing(tmp_path):
    """A library of two images, and the address that it is to be published at."""
    painted(tmp_path / "photos", ["red", "blue"])
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add(tmp_path / "photos", encoder=ColourEncoder(), workers=0)
    return library, place_in(tmp_path)


def add_before(library):
    """Let another image come first, so that every row has another number."""
    painted(library.folder.parent / "early", ["green"])
    sources = [library.folder.parent / each for each in ("early", "photos")]
    library.add(sources, encoder=ColourEncoder(), workers=0)
    library.forget(sources[1])
    library.add(sources[1], encoder=ColourEncoder(), workers=0)
    assert "early" in library.rows["item"][0]


def collections(address):
    where = Address.parse(address)
    client = where.connect()
    name, all_of_them = publishing.target_of(client, where.name), client.list_collections()
    client.close()
    named = (each for each in all_of_them if each.startswith(f"{where.name}_"))
    return name, [each for each in named if each != name]


@pytest.mark.parametrize("kind", ["folder", "Milvus"])
def test_hits_show_the_images_of_the_version_in_which_they_were_found(growing, kind):
    library, address = growing
    if kind == "Milvus":
        list(publish(library, address))
    shown = library if kind == "folder" else Library.open(address)
    hits = shown.search(library.points([0]), k=2)
    before = [hits.open_image(row).tobytes() for row in hits.rows]
    vectors, paths = np.asarray(shown.vectors[:]), [*shown.rows["path"]]
    kept, table = shown.vectors, shown._table_later()
    add_before(library)
    if kind == "Milvus":
        list(publish(library, address))
        shown.refresh()
    assert len(shown) == 3
    assert shown.open_image(0).getpixel((0, 0)) == (0, 128, 0)
    assert [hits.open_image(row).tobytes() for row in hits.rows] == before
    assert np.array_equal(kept[:], vectors) and table().column("path").to_pylist() == paths
    assert list(hits.table["path"]) == [paths[row] for row in hits.rows]


def test_a_version_that_was_dropped_is_said_to_be(growing):
    library, address = growing
    list(publish(library, address))
    reader = Library.open(address)
    hits = reader.search(library.points([0]), k=2)
    for value in range(2):
        library.set_columns({"tag": [value, value]})
        list(publish(library, address))
    for call in (lambda: hits.open_image(0), lambda: reader.search(library.points([0]))):
        with pytest.raises(LibraryError, match=r"is not at milvus://.* later ones were published"):
            call()
    reader.refresh()
    assert len(reader.search(library.points([0]))) == 2


def test_the_version_before_stays_though_the_new_one_is_published_twice(growing):
    library, address = growing
    list(publish(library, address))
    first = collections(address)[0]
    library.set_columns({"tag": ["x", "y"]})
    for _ in range(2):
        list(publish(library, address))
        second, others = collections(address)
        assert second != first and others == [first]


def sizes(library, address):
    reader = Library.open(address)
    return [reader.open_image(row).size for row in range(len(reader))]


def test_another_side_sends_other_small_images(growing, tmp_path):
    library, address = growing
    list(publish(library, address, thumbnail_side=30))
    library.set_columns({"tag": ["x", "y"]})
    with collecting() as notes:
        list(publish(library, address))
    assert not notes
    moved = shutil.move(tmp_path / "photos", tmp_path / "away")
    assert sizes(library, address) == [(30, 20)] * 2
    shutil.move(moved, tmp_path / "photos")
    with collecting() as notes:
        list(publish(library, address, thumbnail_side=15))
    assert len(notes) == 1 and "at most 30 pixels, and now have 15" in notes[0]
    shutil.move(tmp_path / "photos", tmp_path / "away")
    assert sizes(library, address) == [(15, 10)] * 2


def test_members_are_read_as_the_reader_does(tmp_path, monkeypatch):
    make_tar(tmp_path / "a.tar", [("0.png", image(0)), ("1.png", image(1))])
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add(tmp_path / "a.tar", encoder=ColourEncoder(), workers=0)
    address = place_in(tmp_path, "a")
    list(publish(library, address, thumbnail_side=0))
    reader, asked = Library.open(address), []
    read = published.read_member
    monkeypatch.setattr(published, "read_member", lambda r: asked.append(r["member"]) or read(r))
    assert reader.open_image(1).tobytes() == library.open_image(1).tobytes()
    assert asked == [b"1.png"]
    make_tar(tmp_path / "a.tar", [("0.png", image(0)), ("1.png", image(7))])
    with pytest.raises(ImageError, match="is not on this machine"):
        reader.open_image(1)


def test_a_frame_of_another_video_is_not_shown(tmp_path):
    record = {
        "path": str(tmp_path / "a.mp4").encode(), "member": b"@0.0s", "offset": -1,
        "size": 3, "sha256": "0", "item": "a.mp4@0.0s",
    }  # fmt: skip
    import explorer

    frames = [Image.new("RGB", (64, 64), "red")] * 8
    explorer.write_video(frames, tmp_path / "a.mp4", fps=4)
    right = {**record, "size": (tmp_path / "a.mp4").stat().st_size}
    assert published._same_content(right) is not None
    assert published._same_content(record) is None


def test_what_was_indexed_may_be_opened_however_large(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "MAX_MEGAPIXELS", 16)
    Image.new("1", (5000, 4000)).save(tmp_path / "large.png")
    with pytest.raises(ImageError, match="too large"):
        open_image(tmp_path / "large.png")
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add(tmp_path / "large.png", encoder=ColourEncoder(), workers=0, max_megapixels=50)
    list(publish(library, place_in(tmp_path, "a"), thumbnail_side=0))
    reader = Library.open(place_in(tmp_path, "a"))
    assert reader.open_image(0).size == library.open_image(0).size


def test_opening_reads_no_rows(growing, monkeypatch):
    from pymilvus import MilvusClient

    library, address = growing
    list(publish(library, address))
    asked, query = [], MilvusClient.query

    def counted(self, *args, **more):
        asked.append(more.get("limit"))
        return query(self, *args, **more)

    monkeypatch.setattr(MilvusClient, "query", counted)
    reader = Library.open(address)
    assert len(reader) == 2 and reader.columns == [] and reader.info()["rows"] == 2
    hits = reader.search(library.points([0]), k=1)
    assert len(hits.table) == len(hits.points) == len(hits.items) == 1
    assert reader._table_later() and asked == []
    assert len(reader.rows) == 2 and asked == [2]


def test_rows_of_a_published_library_are_written_as_a_library(growing, tmp_path):
    library, address = growing
    list(publish(library, address))
    write_subset(Library.open(address), [1], tmp_path / "some.lib")
    some = Library.open(tmp_path / "some.lib")
    assert some.rows["item"].tolist() == [library.rows["item"][1]]
    assert np.array_equal(some.vectors[:], library.vectors[1:])
    assert some.open_image(0).getpixel((0, 0)) == (0, 0, 255)


def run(*words):
    return CliRunner().invoke(cli.unclip, list(map(str, words)))


def test_verify_counts_the_rows_and_reads_them_when_asked(growing):
    library, address = growing
    list(publish(library, address))
    for more in ([], ["--read-data"]):
        done = run("verify", address, *more)
        assert done.exit_code == 0, done.output
        assert f"{address}: nothing is damaged." in done.output and "30 days" not in done.output
    where = Address.parse(address)
    client = where.connect()
    name = publishing.target_of(client, where.name)
    (row,) = client.query(name, filter="row == 1", output_fields=["*"])
    client.upsert(name, [{**row, "record": {**row["record"], "sha256": "0"}}])
    client.close()
    assert run("verify", address).exit_code == 0
    done = run("verify", address, "--read-data")
    assert done.exit_code == 1 and "Row 1 is not there as it was published." in done.output
    client = where.connect()
    client.delete(name, filter="row == 1")
    client.close()
    done = run("verify", address)
    assert done.exit_code == 1 and "1 rows are there, of 2." in done.output
    assert f"unclip publish LIBRARY --to {address}" in done.output
    with pytest.raises(LibraryError, match="Row 1 is not at .*: the server lost it"):
        Library.open(address).open_image(1)
    list(publish(library, address))
    assert run("verify", address, "--read-data").exit_code == 0


def test_what_is_published_is_not_published_again_but_named(growing):
    library, address = growing
    list(publish(library, address))
    with pytest.raises(QueryError, match=f"unclip publish {library.folder} --to"):
        next(publish(Library.open(address), address))
    done = run("publish", address, "--to", f"{address}2")
    assert done.exit_code == 2 and "is published already" in done.output
    done = run("info", address)
    assert done.exit_code == 0 and f"{address}: 2 images in" in done.output


@pytest.mark.parametrize(
    "words",
    [
        "duplicates", "cluster", "info --json", "export -o {out}/v.parquet",
        "map -o {out}/map.html", "repair", "forget x", "moved a b", "compact", "info --errors",
        "publish --to x",
    ],
)  # fmt: skip
def test_every_command_reads_an_address_or_says_what_to_do(growing, words, tmp_path):
    library, address = growing
    list(publish(library, address))
    name, *rest = words.format(out=tmp_path).split()
    done = run(name, "-l", address, *rest)
    assert done.exit_code in (0, 2), (done.output, done.exception)
    print(words, done.exit_code, done.output)


@pytest.mark.parametrize("name", ["milvus", "milvus:", "milvus+https", "milvus:/here"])
def test_a_folder_of_that_name_is_a_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Library.create(tmp_path / name, coloured())
    assert not is_published(name)
    assert len(Library.open(name)) == 0 and Library.open(name).folder.samefile(tmp_path / name)
    assert run("info", "-l", name).exit_code == 0
    assert is_published("milvus://here") and is_published("milvus:/there/a")
