"""Sources that moved: names are rewritten in one version, nothing is embedded, nothing is lost."""

import os
import shutil
import time

import numpy as np
import pytest
from fakes import coloured, image, make_tar, names, run

from explorer import Library
from explorer.errors import DiskError, LibraryError, LibraryLocked, QueryError
from explorer.library.lock import WriterLock


@pytest.fixture
def filled(library, images, encoder):
    """A library of the eight images, one broken, with captions and a column that was set."""
    (images / "captions.csv").write_text(
        "file,caption\n" + "".join(f"{n}.png,c{n}\n" for n in range(8))
    )
    (images / "broken.png").write_bytes(b"no image")
    run(library, [images], encoder)
    library.set_columns({"tag": [os.path.basename(p).decode() for p in library.rows["path"]]})
    library.save_index()
    return library


def state(library):
    """All but where images are: file name → vector, caption, tag, and what is found."""
    rows = library.rows
    base = [os.path.basename(path) for path in rows["path"]]
    hits = library.search(library.points([0]), 8)
    found = [(base[row], float(score)) for row, score in zip(hits.rows, hits.scores, strict=True)]
    return {
        **{b: (v.tobytes(), c, t) for b, v, c, t in zip(
            base, np.asarray(library.vectors), rows["caption"], rows["tag"], strict=True
        )},
        "found": found,
    }  # fmt: skip


def test_a_renamed_folder_keeps_all_and_embeds_nothing(filled, images, encoder, tmp_path):
    before, embedded = state(filled), encoder.images
    new = images.rename(tmp_path / "other disk")
    done = filled.moved(images, new)
    assert (done.files, done.there, done.rows, done.merged, done.staying) == (8, 8, 8, 0, 0)
    again = Library.open(filled.folder)
    assert state(again) == before and again.sources == {str(new): "folder"}
    assert again.verify(read_data=True) == []
    assert all(again.open_image(row).size for row in range(8))
    assert set(again.rows["item"]) == {os.fsdecode(path) for path in again.rows["path"]}
    assert list(again.errors["item"]) == [str(new / "broken.png")]
    assert str(new) in again.errors["reason"][0]
    last = run(again, [new], encoder)
    assert (last.embedded, last.unchanged, last.removed, last.failed) == (0, 8, 0, 1)
    assert encoder.images == embedded and state(again) == before


def test_the_search_index_stays(filled, images, tmp_path):
    (index,) = filled.cache_folder.glob("index-*")
    filled.moved(images, images.rename(tmp_path / "new"))
    again = Library.open(filled.folder)
    again.save_index()
    assert list(again.cache_folder.glob("index-*")) == [index]


def test_a_copy_with_other_times_is_unchanged_too(filled, images, encoder, tmp_path):
    new = shutil.copytree(images, tmp_path / "copy", copy_function=shutil.copyfile)
    for file in new.rglob("*.png"):
        os.utime(file, (time.time() + 5,) * 2)
    shutil.rmtree(images)
    filled.moved(images, new)
    last = run(filled, [new], encoder)
    assert (last.embedded, last.unchanged, last.removed) == (0, 8, 0)


def test_a_subfolder_that_left_its_source_is_a_source_of_its_own(filled, images, encoder, tmp_path):
    new = (images / "more").rename(tmp_path / "elsewhere")
    assert filled.moved(images / "more", new).rows == 2
    assert filled.sources == {str(images): "folder", str(new): "folder"}
    last = run(filled, [images, new], encoder)
    assert (last.embedded, last.unchanged, last.removed) == (0, 8, 0)
    assert filled.forget(new) == 2 and len(filled) == 6


def test_a_subfolder_renamed_within_its_source_stays_of_it(filled, images, encoder):
    filled.moved(images / "more", (images / "more").rename(images / "less"))
    assert filled.sources == {str(images): "folder"}
    assert run(filled, [images], encoder).unchanged == 8


def test_half_a_move_keeps_the_names_of_what_stayed(filled, images, encoder, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    for name in ("0.png", "1.png"):
        (images / name).rename(new / name)
    (images / "2.png").unlink()
    done = filled.moved(images, new)
    assert (done.there, done.staying, done.rows) == (2, 5, 3)
    assert "in neither place, and renamed all the same: 1" in str(done)
    assert "still in the old place only, which keep their names: 5" in str(done)
    assert filled.sources == {str(new): "folder", str(images): "folder"}
    last = run(filled, [images, new], encoder)
    assert (last.embedded, last.unchanged, last.removed) == (0, 7, 1)


def test_a_new_place_that_was_indexed_before_is_merged(filled, images, encoder, tmp_path):
    before = state(filled)
    new = images.rename(tmp_path / "new")
    run(filled, [new], encoder)
    assert len(filled) == 16
    done = filled.moved(images, new)
    assert (done.merged, done.rows) == (8, 0)
    assert filled.verify(read_data=True) == [] and len(filled) == 8
    assert {k: v for k, v in state(filled).items() if k != "found"} == {
        k: v for k, v in before.items() if k != "found"
    }
    assert filled.sources == {str(new): "folder"}


def test_files_of_another_size_are_said_and_embedded_by_the_next_index(
    filled, images, encoder, tmp_path
):
    new = images.rename(tmp_path / "new")
    (new / "0.png").write_bytes(image(77) + b" ")
    done = filled.moved(images, new)
    assert done.changed == 1 and "another size" in str(done)
    assert run(filled, [new], encoder).embedded == 1


def test_tars_names_that_are_no_text_and_imported_vectors_move_too(tmp_path, encoder):
    odd = os.fsencode(tmp_path / "old") + b"/\xff\n.png"
    (tmp_path / "old").mkdir()
    with open(odd, "wb") as file:
        file.write(image(1))
    make_tar(tmp_path / "old" / "a.tar", [("in/2.png", image(2))])
    library = Library.create(tmp_path / "library", coloured())
    sources = [tmp_path / "old", tmp_path / "old" / "a.tar"]
    run(library, sources, encoder)
    np.save(tmp_path / "old" / "v.npy", np.eye(3, 8, dtype=np.float32))
    library.add_vectors(tmp_path / "old" / "v.npy", check_model=False)
    (tmp_path / "old").rename(tmp_path / "new")
    assert library.moved(tmp_path / "old", tmp_path / "new").rows == 5
    assert not [item for item in library.rows["item"] if "/old/" in item]
    places = [tmp_path / "new", tmp_path / "new/a.tar", tmp_path / "new/v.npy"]
    assert sorted(library.sources) == list(map(str, places))
    last = run(library, [tmp_path / "new", tmp_path / "new" / "a.tar"], encoder)
    assert (last.embedded, last.unchanged) == (0, 2)
    (tmp_path / "new/v.npy").rename(tmp_path / "new/w.npy")
    library.moved(tmp_path / "new/v.npy", tmp_path / "new/w.npy")
    again = library.add_vectors(tmp_path / "new" / "w.npy", check_model=False)
    assert (again.added, again.unchanged) == (0, 3)


def test_what_is_not_there_is_refused_and_changes_nothing(filled, images, tmp_path):
    version = filled.info()["version"]
    with pytest.raises(QueryError, match="None of the 8 files .* they are still in"):
        filled.moved(images, tmp_path / "nowhere")
    (tmp_path / "parent").mkdir()
    new = images.rename(tmp_path / "parent" / "images")
    with pytest.raises(QueryError, match=f"there is no .*Did you mean '{new}'"):
        filled.moved(images, tmp_path / "parent")
    with pytest.raises(QueryError, match=f"Did you mean '{images}'"):
        filled.moved(str(images) + "x", new)
    with pytest.raises(QueryError, match="both the old and the new"):
        filled.moved(images, images)
    with WriterLock(filled.folder), pytest.raises(LibraryLocked):
        filled.moved(images, new)
    assert filled.moved(images, new, dry=True).rows == 8
    assert filled.info()["version"] == version and filled.sources == {str(images): "folder"}


def test_a_disk_that_refuses_leaves_the_version_before(filled, images, tmp_path, monkeypatch):
    def refuse(*args):
        raise DiskError("no space left")

    before, new = names(filled), images.rename(tmp_path / "new")
    monkeypatch.setattr("explorer.library.manifest.write_file", refuse)
    with pytest.raises((DiskError, LibraryError)):
        filled.moved(images, new)
    monkeypatch.undo()
    again = Library.open(filled.folder)
    assert names(again) == before and again.sources == {str(images): "folder"}
