"""`unclip import`, with pocket: from vectors to a library that every command takes."""

import os

import numpy as np
import pandas as pd
import pytest
from app_pages import captions, errors, open_page
from test_cli import told, unclip

from explorer.library import Library
from explorer.library.importing import agreement
from explorer.library.lock import WriterLock


@pytest.fixture(scope="module")
def given(emoji, tmp_path_factory):
    """The vectors of a library of emoji, raw and of length 1, and a table of their images."""
    folder, library = tmp_path_factory.mktemp("given"), Library.open(emoji)
    np.save(folder / "raw.npy", library.points().vectors)
    np.save(folder / "unit.npy", library.points().unit)
    paths = [os.fsdecode(path) for path in library.rows["path"]]
    table = pd.DataFrame({"picture": paths, "said": library.rows["caption"]})
    table.to_csv(folder / "table.csv", index=False)
    return folder


COLUMNS = ("--path-column", "picture", "--caption-column", "said")


def test_imported_vectors_are_checked_and_found_by_words(given, tmp_path):
    made = ("--library", tmp_path / "made.lib", "--model", "pocket")
    value = told("import", given / "raw.npy", "--table", given / "table.csv", *COLUMNS, *made)
    assert (value["added"], value["rows"], value["passed"], value["unit"]) == (14, 14, True, False)
    assert "14 of 14 images encoded again agree" in value["agreement"]
    hits = told("search", tmp_path / "made.lib", "cat face, 3d", "-k", "1")
    assert hits[0]["caption"] == "cat face, 3d"
    again = told("import", given / "raw.npy", "--table", given / "table.csv", *COLUMNS, *made[:2])
    assert (again["added"], again["unchanged"]) == (0, 14)


def test_vectors_without_images_pass_through_every_command(given, tmp_path):
    library = tmp_path / "bare.lib"
    result = unclip("import", given / "unit.npy", "--library", library, "--model", "pocket")
    assert result.exit_code == 0 and "length 1" in result.stdout and "--rescale" in result.stdout
    assert "not checked" in result.stdout
    assert told("info", library)["unit_vectors_from"] == [str(given / "unit.npy")]
    for words in (
        ("search", library, "a cat", "--sheet", tmp_path / "hits.png"),
        ("map", library, "-o", tmp_path / "map.html"),
        ("map", library, "-o", tmp_path / "map.png"),
        ("export", library, "-o", tmp_path / "out.parquet"),
    ):
        result = unclip(*words)
        assert result.exit_code == 0, result.output
    back = ("--library", tmp_path / "back.lib", "--model", "pocket")
    assert told("import", tmp_path / "out.parquet", *back)["added"] == 14
    assert not Library.open(tmp_path / "back.lib").columns


def test_vectors_of_another_model_are_refused_unless_one_insists(given, tmp_path):
    other = np.random.default_rng(0).normal(size=(14, 256)).astype(np.float32)
    np.save(tmp_path / "other.npy", other)
    words = ("import", tmp_path / "other.npy", "--table", given / "table.csv", *COLUMNS)
    library = tmp_path / "made.lib"
    result = unclip(*words, "--library", library, "--model", "pocket")
    assert result.exit_code == 2 and not library.exists()
    assert "not those of pocket" in result.stderr and "Other weights" in result.stderr
    result = unclip(*words, "--library", library, "--model", "pocket", "--force")
    assert result.exit_code == 0 and "warning: These vectors are not" in result.stderr


def test_a_new_library_needs_a_model_and_an_old_one_its_own(given, emoji, tmp_path):
    result = unclip("import", given / "raw.npy", "--library", tmp_path / "new.lib")
    assert result.exit_code == 2 and "--model" in result.stderr
    assert not (tmp_path / "new.lib").exists()
    result = unclip("import", given / "raw.npy", "--library", emoji, "--side", "text")
    assert result.exit_code == 2 and "image side" in result.stderr


def test_rescaling_says_which_length_it_takes(given, tmp_path):
    np.save(tmp_path / "one.npy", np.load(given / "unit.npy")[:1])
    out = ("-o", tmp_path / "one.png", "--steps", "2")
    result = unclip("decode", tmp_path / "one.npy", "--rescale", *out)
    assert result.exit_code == 0, result.output
    assert "lengths of the vectors are taken to be" in result.stderr


@pytest.fixture(scope="module")
def bare(emoji, tmp_path_factory):
    """A library of vectors without images."""
    known = Library.open(emoji)
    library = Library.create(tmp_path_factory.mktemp("bare") / "bare.lib", "pocket")
    library.add_vectors(known.points().unit, table=known.rows[["caption"]])
    return library.folder


@pytest.mark.parametrize("name", ["search", "library", "map"])
def test_the_pages_of_the_dashboard_show_a_tile_for_rows_without_images(monkeypatch, bare, name):
    page = open_page(monkeypatch, name, bare, **({"q0": "cat face"} if name == "search" else {}))
    assert errors(page) == []
    assert name != "search" or any("cat face" in text for text in captions(page))


def test_an_array_stored_by_columns_is_the_same_rows(emoji, tmp_path):
    known = Library.open(emoji).points().vectors
    library = Library.create(tmp_path / "made.lib", "pocket")
    assert library.add_vectors(np.asfortranarray(known)).added == len(known)
    assert library.add_vectors(known).added == 0
    np.testing.assert_array_equal(library.points().vectors, known)


def test_the_second_of_two_first_imports_ends_locked(given, tmp_path, monkeypatch):
    """The first one makes the library while the second one checks its vectors."""
    library, check = tmp_path / "made.lib", agreement.check

    def meanwhile(*arguments):
        Library.create(library, "pocket")
        return check(*arguments)

    monkeypatch.setattr(agreement, "check", meanwhile)
    words = ("import", given / "raw.npy", "--library", library, "--model", "pocket")
    monkeypatch.setattr(Library, "importing_vectors", held(Library.importing_vectors))
    result = unclip(*words)
    assert result.exit_code == 11 and "is being written by pid" in result.stderr


def held(importing):
    """Import as usual, while another process writes to the library."""

    def while_held(library, planned):
        with WriterLock(library.folder):
            yield from importing(library, planned)

    return while_held
