"""Columns that are set: they last, move with their images, and are whole or absent."""

import os

import pandas as pd
import pytest
from fakes import image, run

from explorer import Library
from explorer.cli.search import conditions
from explorer.errors import DiskError, LibraryError, LibraryLocked, QueryError
from explorer.library.contents import Contents
from explorer.library.lock import WriterLock
from explorer.library.segments import OWN_COLUMNS
from explorer.library.subset import write_subset


@pytest.fixture
def filled(library, images, encoder):
    """A library of the eight images, with a column `tag` that names each file."""
    run(library, [images], encoder)
    library.set_columns({"tag": [os.path.basename(p).decode() for p in library.rows["path"]]})
    return library


def tags(library):
    """File name → tag."""
    rows = library.rows
    return dict(zip([os.path.basename(p).decode() for p in rows["path"]], rows["tag"], strict=True))


def test_a_set_column_is_found_again_in_rows_hits_and_where(filled):
    again = Library.open(filled.folder)
    assert again.columns == ["tag"] == again.info()["columns"]
    hits = again.search(again.points([3]), 8, where=conditions(["tag=3.png"]))
    assert [hit["tag"] for hit in hits] == ["3.png"]
    assert again.verify(read_data=True) == []


def test_columns_are_told_without_reading_the_rows(filled, images, encoder, monkeypatch):
    (images / "captions.csv").write_text("file,caption,number\n8.png,a cat,7\n")
    (images / "8.png").write_bytes(image(8))
    run(filled, [images], encoder)
    whole = [name for name in filled.rows.columns if name not in OWN_COLUMNS]
    again = Library.open(filled.folder)
    monkeypatch.setattr(Contents, "table", property(lambda _: pytest.fail("rows were read")))
    assert again.columns == again.info()["columns"] == whole
    assert set(whole) == {"tag", "caption", "number"}


def test_a_library_without_rows_has_no_columns(library):
    assert library.columns == library.info()["columns"] == []


def test_it_survives_adding_changing_and_moving(filled, images, encoder):
    (images / "8.png").write_bytes(image(8))
    (images / "0.png").write_bytes(image(100))
    (images / "1.png").rename(images / "more" / "one.png")
    (images / "2.png").unlink()
    run(filled, [images], encoder)
    found = tags(filled)
    assert pd.isna(found.pop("8.png"))
    assert found.pop("one.png") == "1.png"
    assert found == {name: name for name in ("0.png", "3.png", "4.png", "5.png", "6.png", "7.png")}
    assert run(filled, [images], encoder).unchanged == 8


def test_an_open_reader_stays_at_its_version(filled):
    reader = Library.open(filled.folder)
    filled.set_columns({"tag": [1] * 8, "other": list("abcdefgh")})
    assert set(reader.rows["tag"]) == {f"{n}.png" for n in range(8)}
    reader.refresh()
    assert set(reader.rows["tag"]) == {1}
    assert list(reader.rows["other"]) == list("abcdefgh")


def test_replacing_keeps_one_segment_a_call_and_removing_takes_the_column_away(filled):
    segments = filled.info()["segments"]
    for value in range(3):
        filled.set_columns({"tag": [value] * 8})
    assert filled.info()["segments"] == segments
    filled.set_columns({"tag": [9] * 8, "b": [1.5] * 8})
    filled.set_columns({"tag": None})
    assert filled.columns == ["b"]
    filled.set_columns({"b": None})
    assert filled.columns == []
    with pytest.raises(QueryError, match="no column 'b' that was set"):
        filled.set_columns({"b": None})


def test_a_subset_takes_the_columns_along(filled, tmp_path):
    subset = Library.open(write_subset(filled, [2, 4], tmp_path / "subset"))
    assert list(subset.rows["tag"]) == list(filled.rows["tag"].iloc[[2, 4]])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tag": [1, 2]}, "has 2 values, but the library has 8 rows"),
        ({"score": [1] * 8}, "uses that name itself"),
        ({"": [1] * 8}, "uses that name itself"),
    ],
)
def test_columns_that_do_not_fit_are_refused_and_change_nothing(filled, columns, message):
    with pytest.raises(QueryError, match=message):
        filled.set_columns({"fine": [1] * 8, **columns})
    assert Library.open(filled.folder).columns == ["tag"]


def test_a_column_of_the_images_table_is_not_overwritten(library, images, encoder):
    (images / "captions.csv").write_text("file,caption\n0.png,a cat\n")
    run(library, [images], encoder)
    with pytest.raises(QueryError, match="came with the images"):
        library.set_columns({"caption": [None] * 8})


def test_one_writer_at_a_time(filled):
    with WriterLock(filled.folder), pytest.raises(LibraryLocked):
        filled.set_columns({"tag": None})


def test_a_disk_that_refuses_leaves_the_version_before(filled, monkeypatch):
    def refuse(*args):
        raise DiskError("no space left")

    monkeypatch.setattr("explorer.library.manifest.write_file", refuse)
    with pytest.raises((DiskError, LibraryError)):
        filled.set_columns({"tag": [0] * 8})
    monkeypatch.undo()
    assert tags(Library.open(filled.folder))["5.png"] == "5.png"


def test_damage_to_a_column_is_found_and_repaired(filled):
    segment = filled._store.manifest.segments[-1]
    file = filled.folder / "segments" / segment.id / "columns.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    damaged = Library.open(filled.folder)
    assert "columns.parquet" in damaged.verify(read_data=True)[0]
    damaged.repair()
    assert len(damaged) == 8
    assert damaged.columns == []
