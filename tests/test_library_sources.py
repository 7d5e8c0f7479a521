"""Folders, files, tars and tables are sources; tables beside them give columns."""

import io
import json
import os

import numpy as np
import pandas as pd
import pytest
from fakes import coloured, image, make_tar, names, names_in_order, run
from PIL import Image

from explorer.errors import ImageError, QueryError
from explorer.library import Library

# Sources


@pytest.mark.parametrize(
    "name", [b"caf\xe9.png", b"two\nlines.png", b"-rf.png", b"$(x) {0..9}.png", "é 🦜.PNG".encode()]
)
def test_any_file_name_survives(tmp_path, library, encoder, name):
    folder = os.fsencode(tmp_path / "names")
    os.mkdir(folder)
    with open(os.path.join(folder, name), "wb") as handle:
        handle.write(image(1))
    run(library, folder, encoder)
    opened = Library.open(library.folder)
    assert opened.rows["path"][0] == os.path.join(folder, name)
    assert opened.open_image(0).size == (5, 6) and "\n" not in opened.rows["item"][0]
    assert run(opened, folder, encoder).unchanged == 1


def test_links_are_followed_once_and_hidden_files_are_left_out(tmp_path, images, library, encoder):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "far.png").write_bytes(image(20))
    (images / "loop").symlink_to(images)
    (images / "again.png").symlink_to(images / "0.png")
    for name in ("a_far", "b_far"):
        (images / name).symlink_to(outside)
    (images / "dead.png").symlink_to(images / "nowhere.png")
    (images / "self.png").symlink_to(images / "self.png")
    (images / ".secret.png").write_bytes(image(21))
    (images / ".secrets").mkdir()
    (images / ".secrets" / "s.png").write_bytes(image(22))
    (images / "notes.txt").write_text("")
    (images / "folder.png").mkdir()
    progress = run(library, images, encoder)
    assert names(library) == [*(b"%d.png" % n for n in range(8)), b"far.png"]
    assert progress.failed == 2 and progress.total == 11


def test_a_source_that_does_not_exist_is_refused(tmp_path, library, encoder):
    with pytest.raises(QueryError, match="There is no .*missing"):
        run(library, tmp_path / "missing", encoder)
    (tmp_path / "empty").mkdir()
    assert run(library, tmp_path / "empty", encoder).total == 0
    assert "no images in" in library.warnings[0]


def test_images_in_a_tar_come_with_their_captions(tmp_path, library, encoder):
    members = [("set/1.png", image(1)), ("set/1.txt", b"one\n"), ("../2.png", image(2))]
    members += [("../2.json", json.dumps({"caption": "two", "tags": ["a"], "width": 3}).encode())]
    members += [("set/readme.md", b"#"), ("set/broken.jpg", b"\xff\xd8\xff"), ("x.png", image(3))]
    make_tar(tmp_path / "a.tar", members)
    progress = run(library, tmp_path / "a.tar", encoder)
    assert (progress.embedded, progress.failed) == (3, 1)
    assert "set/broken.jpg" in library.errors["item"][0]
    rows = library.rows.set_index("member")
    assert rows["caption"].dropna().to_dict() == {b"set/1.png": "one", b"../2.png": "two"}
    assert rows.loc[b"../2.png", "tags"] == '["a"]'
    assert rows.loc[b"../2.png", "given_width"] == 3 and rows.loc[b"../2.png", "width"] == 5
    row = list(library.rows["member"]).index(b"../2.png")
    assert library.points([row]).labels == ("2.png",)
    expected = Image.open(io.BytesIO(image(2)))
    assert library.open_image(row).tobytes() == expected.tobytes()

    make_tar(tmp_path / "a.tar", [*members[2:], ("new.png", image(9))])
    with pytest.raises(ImageError, match="has changed"):
        library.open_image(row)
    progress = run(library, tmp_path / "a.tar", encoder)
    assert (progress.embedded, progress.unchanged, progress.removed) == (1, 2, 1)
    assert encoder.images == 4 and len(library) == 3
    row = list(library.rows["member"]).index(b"../2.png")
    assert library.open_image(row).tobytes() == expected.tobytes()


@pytest.mark.parametrize("end", ["in an image", "between two", "without end"])
def test_a_tar_that_is_cut_off_is_kept_up_to_the_break(tmp_path, library, encoder, end):
    tar = tmp_path / "a.tar"
    make_tar(tar, [(f"{n}.png", image(n)) for n in range(4)])
    whole = tar.read_bytes()
    step = 512 + (len(image(0)) + 511) // 512 * 512
    cut = {"in an image": 2 * step + 600, "between two": 2 * step, "without end": 4 * step}[end]
    run(library, tar, encoder)
    tar.write_bytes(whole[:cut])
    progress = run(library, tar, encoder)
    assert progress.failed == 1 and "a.tar" in library.errors["reason"][0]
    assert len(library) == 4 and progress.removed == 0, "what cannot be seen is not deleted"
    fresh = Library.create(tmp_path / "fresh", coloured())
    run(fresh, tar, encoder)
    assert len(fresh) == (4 if end == "without end" else 2)
    tar.write_bytes(whole)
    run(fresh, tar, encoder)
    assert len(fresh) == 4 and len(fresh.errors) == 0


def test_a_member_that_is_there_twice_counts_once(tmp_path, library, encoder):
    make_tar(tmp_path / "a.tar", [("1.png", image(1)), ("1.png", image(2))])
    assert run(library, tmp_path / "a.tar", encoder).total == 1
    assert "twice" in library.warnings[0]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_of_paths_is_a_source(tmp_path, images, library, encoder, suffix):
    table = pd.DataFrame(
        {
            "filename": ["0.png", "more/6.png", str(images / "1.png"), "gone.png", "0.png"],
            "caption": ["zero", "six, or so", "", "gone", "again"],
            "year": [1999, 2001, 2002, 2003, 2004],
        }
    )
    file = images / f"list.{suffix}"
    if suffix == "jsonl":
        table.to_json(file, orient="records", lines=True)
    elif suffix == "parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep="\t" if suffix == "tsv" else ",")
    progress = run(library, file, encoder)
    assert (progress.embedded, progress.failed) == (3, 1)
    assert "gone.png" in library.errors["item"][0] and "1 rows of" in library.warnings[0]
    assert list(library.rows["year"]) == [1999, 2001, 2002]
    assert list(library.rows["caption"].fillna("-")) == ["zero", "six, or so", "-"]
    (images / "more" / "6.png").unlink()
    assert run(library, file, encoder).failed == 2 and len(library) == 2


# Columns


def test_a_table_beside_the_images_gives_columns(tmp_path, images, library, encoder):
    table = tmp_path / "styles.csv"
    lines = ["file,style,code,share,height", "more/6.png,flat,007,0.50,tall"]
    lines += ["1.png,round,42,3,", "other/0.png,wrong,1,1,", f"{images}/2.png,flat,43,0.1,"]
    table.write_text("\n".join(lines), encoding="utf-8-sig")
    run(library, images, encoder, columns=table)
    rows = library.rows.set_index(pd.Index(names_in_order(library)))
    assert rows["style"].dropna().to_dict() == {
        b"6.png": "flat", b"1.png": "round", b"2.png": "flat",
    }  # fmt: skip
    assert rows.loc[b"6.png", "code"] == "007" and rows.loc[b"6.png", "share"] == 0.5
    assert rows.loc[b"6.png", "given_height"] == "tall" and rows.loc[b"6.png", "height"] == 6
    assert library.columns == ["style", "code", "share", "given_height"]


def test_captions_in_the_folder_are_found_and_may_change_without_embedding(
    images, library, encoder
):
    captions = images / "captions.jsonl"
    captions.write_text('{"file_name": "0.png", "caption": "zero", "size": 1}\n')
    run(library, images, encoder)
    assert list(library.rows["caption"].dropna()) == ["zero"]
    captions.write_text('{"file_name": "0.png", "caption": "nought"}\n')
    given = pd.DataFrame({"path": ["0.png", "1.png"], "likes": [np.int64(3), 4]})
    progress = run(library, images, encoder, columns=given)
    assert (progress.unchanged, encoder.images, len(library)) == (8, 8, 8)
    row = library.rows.iloc[names_in_order(library).index(b"0.png")]
    assert (row["caption"], row["likes"], row["given_size"]) == ("nought", 3, 1)
    version = library.info()["version"]
    run(library, images, encoder, columns=given)
    assert library.info()["version"] == version, "nothing changed, so nothing is written"


def test_a_column_may_hold_numbers_here_and_words_there(images, library, encoder):
    run(library, images / "0.png", encoder, columns=pd.DataFrame({"file": ["0.png"], "n": [7]}))
    words = pd.DataFrame({"file": ["1.png"], "n": ["seven"], "b": [[1, None]]})
    run(library, images, encoder, columns=words)
    assert list(library.rows["n"].dropna()) == ["7", "seven"]
    assert len(library.search(encoder.encode_text("red"), where={"n": 7})) == 1


def test_a_table_that_names_no_images_is_refused(tmp_path, images, library, encoder):
    table = tmp_path / "styles.csv"
    table.write_text("name,style\n0.png,flat\n")
    with pytest.raises(QueryError, match="no column that names the images.*name, style"):
        library.add(images, encoder=encoder, columns=table)
    table.write_text("file,style\nnowhere.png,flat\n")
    run(library, images, encoder, columns=table)
    assert "No row of the given table" in library.warnings[0]
    (tmp_path / "styles.jsonl").write_text('{"file": "0.png"}\n{"file"')
    with pytest.raises(QueryError, match="line 2"):
        library.add(images, encoder=encoder, columns=tmp_path / "styles.jsonl")
