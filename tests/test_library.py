"""A library gives back what was added, and finds what brute force finds.

Beside this: test_library_add (keeping up to date), _sources (what can be added), _faults (damage).
"""

import json
import os
import re
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fakes import COLOUR_SPACE, ColourEncoder, coloured, image, names, run

from explorer.errors import LibraryError, LibraryLocked, LibraryNotFound, QueryError, SpaceMismatch
from explorer.library import Library, reader
from explorer.library.few_rows import SegmentRows, TableRows
from explorer.notes import collecting
from explorer.points import Points, Space

# Round trips


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_added_is_there_after_opening_again(tmp_path, images, encoder, dtype):
    library = Library.create(tmp_path / dtype, coloured(name="toy"), dtype=dtype)
    progress = run(library, images, encoder)
    assert (progress.done, progress.total, progress.committed, progress.embedded) == (8, 8, 8, 8)
    opened = Library.open(tmp_path / dtype)
    assert len(opened) == 8 and opened.space == COLOUR_SPACE and opened.model == "toy"
    assert names(opened) == [b"%d.png" % number for number in range(8)]
    row = opened.rows.iloc[6]
    assert (row["width"], row["height"]) == (5, 6)
    assert row["path"] == os.fsencode(images / "more" / "6.png") and row["item"].endswith("6.png")
    expected = encoder.encode_images([os.fsdecode(path) for path in opened.rows["path"]])
    tolerance = 1e-6 if dtype == "float32" else 1e-3
    np.testing.assert_allclose(opened.points().vectors, expected.vectors, atol=tolerance)
    assert opened.points([6]).labels == ("6.png",) and opened.points().side == "image"
    assert opened.open_image(6).size == (5, 6)
    assert opened.verify(read_data=True) == [] and opened.warnings == []


def test_points_span_segments_in_the_order_asked_for(tmp_path, images, library, encoder):
    run(library, images / "more", encoder)
    run(library, images, encoder)
    assert library.info()["segments"] == 2
    whole = np.asarray(library.vectors)
    assert whole.shape == library.vectors.shape == (8, 8)
    np.testing.assert_array_equal(library.points([7, 0, 3]).vectors, whole[[7, 0, 3]])
    np.testing.assert_array_equal(library.vectors[2:5], whole[2:5])
    np.testing.assert_array_equal(library.vectors[-1], whole[-1])
    with pytest.raises(QueryError, match="no row 8"):
        library.points([8])


def test_vectors_too_long_for_float16_are_kept_as_float32(tmp_path, images):
    class Loud(ColourEncoder):
        def embed_pixels(self, pixels):
            return super().embed_pixels(pixels) * 1e6

    library = Library.create(tmp_path / "half", coloured(), dtype="float16")
    run(library, images, Loud())
    assert np.isfinite(library.points().vectors).all() and library.points().norms.min() > 65504


# Making and opening


def test_a_folder_that_is_taken_is_refused(tmp_path, library):
    with pytest.raises(LibraryError, match="already"):
        Library.create(tmp_path / "library", coloured())
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("")
    with pytest.raises(LibraryError, match=r"thesis\.tex"):
        Library.create(tmp_path / "taken", coloured())
    with pytest.raises(LibraryNotFound, match="no library in"):
        Library.open(tmp_path / "taken")


def test_a_creation_that_was_cut_off_can_be_done_again(tmp_path):
    (tmp_path / "library" / "manifests").mkdir(parents=True)
    assert len(Library.open_or_create(tmp_path / "library", coloured())) == 0


def test_an_encoder_or_point_of_another_space_is_refused(tmp_path, library, images):
    other = Space("other", 8, "ff")
    message = r"made with colours \(8-d, .*asked other \(8-d"
    with pytest.raises(SpaceMismatch, match=message):
        library.add(images, encoder=ColourEncoder(other))
    with pytest.raises(SpaceMismatch, match=message):
        library.search(Points(np.ones((1, 8)), other, "image"))
    with pytest.raises(SpaceMismatch, match=message):
        Library.open_or_create(library.folder, coloured(other))


def test_a_library_of_earlier_weights_says_how_to_index_its_images_again(library, images):
    library.add(images)
    later = replace(library.space, fingerprint="1a2b3c4d5e")
    again = shlex.join(["unclip", "index", str(images), "--library", "NEW", "--model", "colours"])
    with pytest.raises(SpaceMismatch, match=f"changed since .*1a2b3c4d now.*{re.escape(again)}$"):
        library.check_space(later)


def test_a_second_writer_is_told_who_writes(library, images, encoder):
    writer = library.adding(images, encoder=encoder)
    next(writer)
    second = Library.open(library.folder)
    with pytest.raises(LibraryLocked, match=f"written by pid {os.getpid()} on "):
        second.add(images, encoder=encoder)
    writer.close()
    assert run(second, images, encoder).done == 8


# Search


@pytest.fixture
def styled(images, library, encoder):
    style = pd.DataFrame({"file": [f"{n}.png" for n in range(8)], "style": list("aabbccdd")})
    style["year"] = [2000, 2001, 2002, 2003] * 2
    style.loc[7, "style"] = None
    run(library, images, encoder, columns=style)
    return library


def test_hits_say_the_same_as_their_table(styled, encoder):
    styled.set_columns({"given": [0.5, None] * 4})
    hits = styled.search(encoder.encode_images([image(77)]), k=8)
    pd.testing.assert_frame_equal(hits.table, styled.rows.iloc[hits.rows].reset_index(drop=True))
    names = {"style": "style", "year": "year", "given": "given"}
    for position, hit in enumerate(hits):
        row = hits.table.iloc[position]
        cells = {new: None if pd.isna(row[old]) else row[old] for old, new in names.items()}
        assert {name: hit[name] for name in cells} == cells
        assert hit["item"] == hits.items[position] == row["item"]


@pytest.mark.parametrize("at_once", [0, 100])
def test_hits_of_many_segments_have_the_columns_of_all(
    images, library, encoder, monkeypatch, at_once
):
    """A column is of numbers in one segment, of text or not there in others; rows are retired."""
    monkeypatch.setattr(reader, "ROWS_READ_AT_ONCE", at_once)
    files = sorted(images.iterdir())
    for number, columns in enumerate(({"n": [3]}, {"n": ["x"], "m": [0.5]}, {"n": [None]}, {})):
        table = pd.DataFrame({"file": [files[number].name], **columns})
        library.add([files[number]], encoder=encoder, columns=table)
    files[1].write_bytes(image(200))
    library.add([files[1]], encoder=encoder, columns=pd.DataFrame({"file": ["1.png"], "m": [2]}))
    hits = library.search(encoder.encode_images([image(77)]), k=8)
    assert isinstance(library._few_rows, SegmentRows if at_once == 0 else TableRows)
    expected = library.rows.iloc[hits.rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(hits.table, expected)
    assert list(hits.items) == list(expected["item"]) and len(hits) == 4
    assert hits.points.labels == library.points(hits.rows).labels
    by_item = {hit["item"].rpartition("/")[2]: (hit["n"], hit["m"]) for hit in hits}
    assert by_item["0.png"] == ("3", None) and by_item["1.png"] == ("x", 2.0)
    assert not hits.missing.any() and "pandas" not in str(type(hits.arrow))


def test_search_finds_what_brute_force_finds(styled, encoder):
    query = encoder.encode_images([image(77)])
    hits = styled.search(query, k=5)
    scores = (styled.points().unit @ query.unit.T)[:, 0]
    np.testing.assert_array_equal(hits.rows, np.argsort(-scores)[:5])
    np.testing.assert_allclose(hits.scores, np.sort(scores)[::-1][:5], atol=1e-6)
    assert hits.points.labels == styled.points(hits.rows).labels


def test_search_finds_the_image_itself_first_and_may_leave_it_out(styled):
    for row in range(8):
        assert styled.search(styled.points([row]), k=1).rows[0] == row
        assert row not in styled.search(styled.points([row]), k=8, exclude=[row]).rows


def test_hits_give_ranked_plain_values(styled, encoder):
    hits = styled.search(encoder.encode_text("red"), k=3)
    records = list(hits)
    assert list(records[0]) == ["rank", "score", "item", "row", "style", "year"]
    assert [record["rank"] for record in records] == [1, 2, 3] and len(hits) == 3
    json.dumps(records)
    table = hits.to_pandas()
    assert list(table["row"]) == list(hits.rows) and list(table["item"]) == list(hits.items)


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({"style": "b"}, 2),
        ({"style": ["a", "b"]}, 4),
        ({"style": "b", "year": 2002}, 1),
        ({"year": "2002"}, 2),
        ({"year": 2002.0}, 2),
        ({"style": None}, 1),
        ({"style": [None, "d"]}, 2),
        ({"width": 5}, 8),
    ],
)
def test_search_obeys_where(styled, encoder, where, count):
    hits = styled.search(encoder.encode_text("red"), k=20, where=where)
    assert len(hits) == len(list(hits)) == len(hits.to_pandas()) == count
    for name, value in where.items():
        if value is not None and None not in np.atleast_1d(value):
            wanted = [
                str(v).removesuffix(".0") for v in (value if type(value) is list else [value])
            ]
            assert set(hits.table[name].astype(str)) <= set(wanted)


def test_search_says_what_columns_there_are(styled, encoder):
    with pytest.raises(QueryError, match="no column 'colour'.*style, year"):
        styled.search(encoder.encode_text("red"), where={"colour": 1})


def test_many_points_are_searched_by_search_many(styled, encoder):
    points = styled.points([4, 2])
    assert [hits.rows[0] for hits in styled.search_many(points, k=2)] == [4, 2]
    with pytest.raises(QueryError, match="search_many"):
        styled.search(points)


def test_an_empty_library_finds_nothing(library, encoder):
    hits = library.search(encoder.encode_text("red"))
    assert len(hits) == 0 and hits.points is None and len(library.rows) == 0
    assert library.columns == [] and list(hits) == []


def test_an_empty_library_has_no_vectors(library):
    """Once a library that was killed before its first images ended in a ValueError."""
    assert np.asarray(library.vectors).shape == (0, library.space.dimension)


def test_retired_rows_are_not_found(styled, images, encoder):
    (images / "0.png").unlink()
    run(styled, images, encoder)
    hits = styled.search(encoder.encode_text("red"), k=20)
    assert len(hits) == 7 and not any(item.endswith("/0.png") for item in hits.items)


def test_a_damaged_index_is_not_used_which_is_said(styled, encoder):
    query = encoder.encode_text("red")
    expected = styled.search(query)
    styled.save_index()
    (file,) = styled.cache_folder.glob("index-*")
    with collecting() as notes:
        intact = Library.open(styled.folder).search(query)
    assert list(notes) == [] and list(intact.rows) == list(expected.rows)
    content = bytearray(file.read_bytes())
    content[-5] ^= 16
    file.write_bytes(content)
    with collecting() as notes:
        hits = Library.open(styled.folder).search(query)
    (sentence,) = notes
    assert "index" in sentence and "damaged" in sentence and "exact" in sentence
    assert list(hits.rows) == list(expected.rows)
    with collecting() as notes:
        Library.open(styled.folder).search(query)
    assert list(notes) == [], "it was built again"


def test_info_is_plain(styled, images):
    info = styled.info()
    json.dumps(info)
    assert (info["rows"], info["dimension"], info["errors"]) == (8, 8, 0)
    assert info["sources"] == [str(images)] and info["columns"] == ["style", "year"]
