"""Vectors that exist become rows: every format, whole or not at all, and of the right model."""

import os
import signal
import subprocess
import sys
import time
import zipfile

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fakes import COLOUR_SPACE, coloured, run
from pyarrow import parquet

from explorer.errors import ImageError, LibraryError, QueryError
from explorer.library import Library

D = COLOUR_SPACE.dimension


@pytest.fixture
def vectors(images, encoder):
    """The vectors of the eight images, and their files."""
    files = sorted(str(file) for file in images.rglob("*.png"))
    return encoder.encode_images(files).vectors, files


def new(tmp_path, name="made", **options):
    library = Library.create(tmp_path / name, coloured(), **options)
    library._encoder = coloured().encoder
    return library


def holds(library, expected):
    np.testing.assert_allclose(library.points().vectors, expected, rtol=2e-3)
    assert library.verify(read_data=True) == []


def write(folder, form, array, column="vector", **columns):
    """Write vectors in one of the formats, and give what to import."""
    file = folder / f"given{form}"
    if form == ".npy":
        np.save(file, array)
    elif form == ".npz":
        np.savez_compressed(file, vectors=array, **columns)
    elif form == ".index":
        index = faiss.IndexFlatIP(array.shape[1])
        index.add(np.ascontiguousarray(array, dtype=np.float32))
        faiss.write_index(index, str(file))
    else:
        table = pa.table({column: pa.array(list(array)), **columns})
        if form == ".parquet":
            parquet.write_table(table, file, row_group_size=3)
        elif form == ".arrow":
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
                out.write_table(table)
        else:
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
                out.write_table(table)
    return file


FORMS = (".npy", ".npz", ".index", ".parquet", ".arrow", ".feather")


@pytest.mark.parametrize("form", FORMS)
def test_vectors_of_every_format_are_rows_and_again_they_are_not(tmp_path, vectors, form):
    library = new(tmp_path)
    file = write(tmp_path, form, vectors[0])
    done = library.add_vectors(file)
    assert (done.added, done.unchanged, done.unit) == (8, 0, False)
    assert done.agreement.checked == 0 and "not checked" in str(done.agreement)
    holds(library, vectors[0])
    again = library.add_vectors(file)
    assert (again.added, again.unchanged) == (0, 8) and library.info()["version"] == 2
    assert Library.open(library.folder).info()["sources"] == [str(file)]


@pytest.mark.parametrize("form", [".npz", ".parquet", ".arrow"])
def test_columns_in_the_file_name_images_and_captions(tmp_path, vectors, form):
    library = new(tmp_path)
    texts = np.array([f"picture {i}" for i in range(8)])
    file = write(tmp_path, form, vectors[0], path=np.array(vectors[1]), text=texts)
    done = library.add_vectors(file, columns={"caption": "text"})
    assert done.agreement.checked == 8 and done.agreement.passed
    assert library.columns == ["caption"] and library.rows["caption"][3] == "picture 3"
    assert library.open_image(5).size == (5, 6)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_float_and_order_are_read(tmp_path, vectors, dtype, order):
    np.save(tmp_path / "given.npy", np.asarray(vectors[0], dtype=dtype, order=order))
    library = new(tmp_path)
    library.add_vectors(tmp_path / "given.npy")
    holds(library, vectors[0])


@pytest.mark.parametrize("nested", [True, False])
def test_the_folder_of_clip_retrieval_is_read_shard_by_shard(tmp_path, vectors, nested):
    array, files = vectors
    folder = tmp_path / "clip"
    for number, rows in ((2, slice(0, 5)), (10, slice(5, 8))):
        for name in ("img_emb", "metadata"):
            (folder / (name if nested else ".")).mkdir(parents=True, exist_ok=True)
        np.save(folder / ("img_emb" if nested else ".") / f"img_emb_{number}.npy", array[rows])
        table = pd.DataFrame({"image_path": files[rows], "caption": files[rows]})
        table.to_parquet(folder / ("metadata" if nested else ".") / f"metadata_{number}.parquet")
    library = new(tmp_path)
    done = library.add_vectors(folder)
    assert done.added == 8 and done.agreement.checked == 8 and done.agreement.passed
    holds(library, array)
    assert [os.fsdecode(path) for path in library.rows["path"]] == files


def test_metadata_of_another_length_is_refused(tmp_path, vectors):
    np.save(tmp_path / "img_emb_0.npy", vectors[0])
    pd.DataFrame({"image_path": vectors[1][:7]}).to_parquet(tmp_path / "metadata_0.parquet")
    with pytest.raises(QueryError, match=r"8 vectors, but metadata_0.parquet has 7 rows"):
        new(tmp_path).add_vectors(tmp_path)


def test_an_indexed_folder_takes_imported_vectors_as_its_own(tmp_path, vectors, images, encoder):
    library = new(tmp_path)
    library.add_vectors(vectors[0], table=pd.DataFrame({"file": vectors[1]}))
    encoder.images = 0
    assert run(library, images, encoder).unchanged == 8 and encoder.images == 0
    assert len(library) == 8


def test_an_image_that_is_indexed_keeps_its_row(tmp_path, vectors, images, encoder):
    library = new(tmp_path)
    run(library, images, encoder)
    done = library.add_vectors(vectors[0], table=pd.DataFrame({"file": vectors[1]}))
    assert (done.added, done.unchanged, len(library)) == (0, 8, 8)


def test_changed_captions_and_vectors_replace_their_rows(tmp_path, vectors):
    library, file = new(tmp_path), tmp_path / "v.npy"
    np.save(file, vectors[0])
    library.add_vectors(file, table=pd.DataFrame({"file": vectors[1], "caption": ["a"] * 8}))
    table = pd.DataFrame({"file": vectors[1], "caption": ["a"] * 7 + ["b"]})
    assert library.add_vectors(file, table=table).added == 1
    assert sorted(library.rows["caption"]) == ["a"] * 7 + ["b"] and library.verify(True) == []


def test_a_row_that_names_an_image_again_is_left_out_and_counted(tmp_path, vectors):
    library = new(tmp_path)
    files = [*vectors[1][:7], vectors[1][0]]
    done = library.add_vectors(vectors[0], table=pd.DataFrame({"file": files}))
    assert (done.added, done.repeated) == (7, 1) and library.verify(True) == []


def test_addresses_are_names_and_no_files(tmp_path, vectors):
    library = new(tmp_path)
    addresses = [f"https://example.org/{i}.jpg" for i in range(8)]
    done = library.add_vectors(vectors[0], table=pd.DataFrame({"url": addresses}))
    assert done.agreement.checked == 0
    assert list(library.rows["item"]) == addresses == list(library.rows["url"])


# Rows without an image


def test_rows_without_images_are_searched_shown_and_kept_in_subsets(tmp_path, vectors, encoder):
    from explorer.library.subset import write_subset

    library = new(tmp_path)
    library.add_vectors(vectors[0])
    hits = library.search(encoder.encode_images(vectors[1][3]), 3)
    assert hits.rows[0] == 3 and len(list(hits)) == 3
    hits.save(tmp_path / "sheet.png")
    assert "no image here" in hits._repr_html_() and library._repr_html_()
    with pytest.raises(ImageError, match="imported as a vector without a file"):
        library.open_image(0)
    unit = library.points().unit
    part = Library.open(write_subset(library, [1, 2], tmp_path / "part"))
    holds(part, vectors[0][1:3])
    other = new(tmp_path, "unit")
    other.add_vectors(unit)
    kept = Library.open(write_subset(other, [0], tmp_path / "one"))
    assert kept.info()["unit_vectors_from"] == other.info()["unit_vectors_from"] != []


# Of the right model


def check_of(tmp_path, array, files, name="made", **table):
    library = new(tmp_path, name)
    with pytest.raises(QueryError) as caught:
        library.add_vectors(array, table=pd.DataFrame({"file": files, **table}))
    assert len(library) == 0
    return str(caught.value)


def test_unit_and_half_vectors_agree_and_are_marked(tmp_path, vectors):
    unit = vectors[0] / np.linalg.norm(vectors[0], axis=1, keepdims=True)
    library = new(tmp_path)
    done = library.add_vectors(unit.astype("f2"), table=pd.DataFrame({"file": vectors[1]}))
    assert done.unit and done.agreement.passed and done.agreement.cosines.min() > 0.999
    (source,) = Library.open(library.folder).info()["unit_vectors_from"]
    assert source.endswith(library.info()["sources"][0].rpartition("/")[2])


def test_a_miss_is_explained(tmp_path, vectors, encoder):
    array, files = vectors
    rng = np.random.default_rng(0)
    foreign = rng.normal(size=array.shape).astype("f4")
    said = check_of(tmp_path, foreign, files)
    assert "median cosine of" in said and "0.99 is expected" in said and "Other weights" in said
    assert "another row" in check_of(tmp_path, np.roll(array, 1, axis=0), files, "rolled")
    assert "mean was subtracted" in check_of(tmp_path, array - array.mean(axis=0), files, "mean")
    near = array + 0.3 * np.linalg.norm(array, axis=1, keepdims=True) * foreign / np.sqrt(D)
    assert "other preprocessing" in check_of(tmp_path, near, files, "near")
    words = ["red", "green", "blue", "white"] * 2
    texts = encoder.encode_text(words).vectors
    assert "--side text" in check_of(tmp_path, texts, files, "texts", caption=words)
    library = new(tmp_path, "all the same")
    done = library.add_vectors(foreign, table=pd.DataFrame({"file": files}), check_model=False)
    assert done.added == 8 and done.agreement is None


def test_texts_have_a_library_of_their_own(tmp_path, encoder, images):
    words = ["red", "green", "blue"]
    texts = encoder.encode_text(words).vectors
    library = new(tmp_path, side="text")
    done = library.add_vectors(texts, table=pd.DataFrame({"caption": words}))
    assert done.agreement.checked == 3 and done.agreement.passed
    opened = Library.open(library.folder)
    assert opened.side == "text" == opened.points().side == opened.info()["side"]
    assert opened.search(encoder.encode_text("green"), 1).table["caption"][0] == "green"
    with pytest.raises(LibraryError, match="text side"):
        run(library, images, encoder)
    with pytest.raises(QueryError, match="not those of colours: 3 captions"):
        library.add_vectors(texts[::-1], table=pd.DataFrame({"caption": words}))


# Hostile files


def header(shape, descr="<f4"):
    body = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def bad_row(value):
    array = np.ones((20, D), np.float32)
    array[17] = value
    return array


def saved(array, allow_pickle=False):
    def save(file):
        np.save(file, array, allow_pickle=allow_pickle)

    return save


def content(data):
    return lambda file: file.write_bytes(data)


class Trap:
    def __reduce__(self):
        return os.system, ("touch sprung",)


HOSTILE = {
    "object": (saved(np.array([[Trap()] * D], object), True), "never unpickled"),
    "pickle": (content(b"\x80\x04."), "cannot be read as an array"),
    "complex": (saved(np.ones((3, D), complex)), "of type complex128"),
    "int8": (saved(np.ones((3, D), np.int8)), "of type int8"),
    "one row": (saved(np.ones(D, np.float32)), r"shape \(8,\)"),
    "empty": (saved(np.ones((0, D), np.float32)), "holds no vectors"),
    "dimension": (saved(np.ones((3, 5), np.float32)), "5 dimensions, but those of colours have 8"),
    "claims": (content(header((10**12, D)) + b"\0" * 64), "claims 1,000,000,000,000"),
    "beyond": (content(header((10**40, D)) + b"\0" * 64), "claims 10,000,000,000"),
    "negative": (content(header((-3, D)) + b"\0" * 640), "shape"),
    "nested": (content(header("(" * 5000, "<f4")), "cannot be read as an array"),
    "nan": (saved(bad_row(np.nan)), "Row 17 of .* holds NaN"),
    "overflow": (saved(bad_row(1e30).astype("f8") * 1e30), "Row 17 of .* holds NaN or infinity"),
    "zero": (saved(bad_row(0)), "Row 17 of .* is zero"),
    "nothing": (content(b""), "cannot be read as an array"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_npy_is_one_sentence_and_nothing_is_written(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    library, (save, said) = new(tmp_path), HOSTILE[kind]
    save(tmp_path / "bad.npy")
    with pytest.raises(QueryError, match=said) as caught:
        library.add_vectors(tmp_path / "bad.npy")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert library.info()["version"] == 1 and not (tmp_path / "sprung").exists()


def test_other_files_that_cannot_be_used_are_sentences(tmp_path, vectors):
    library, array = new(tmp_path), vectors[0]
    ivf = faiss.index_factory(D, "SQ8")
    ivf.train(array)
    faiss.write_index(ivf, str(tmp_path / "sq.faiss"))
    (tmp_path / "short.index").write_bytes(write(tmp_path, ".index", array).read_bytes()[:-9])
    (tmp_path / "stub.index").write_bytes(b"IxFI\0\0")
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("vectors.npy", header((9, D)) + b"\0" * 64)
    np.savez(tmp_path / "two.npz", a=array, b=array)
    (tmp_path / "zip.npz").write_bytes(b"PK no")
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    (tmp_path / "no.arrow").write_bytes(b"ARROW1")
    pa_null = pa.table({"vector": pa.array([[1.0] * D, None])})
    parquet.write_table(pa_null, tmp_path / "null.parquet")
    parquet.write_table(pa.table({"vector": pa.array([[1.0] * D, [1.0]])}), tmp_path / "r.parquet")
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "none.parquet")
    (tmp_path / "v.pkl").write_bytes(b"\x80\x04.")
    for name, said in {
        "sq.faiss": "no flat FAISS index",
        "short.index": "claims 8 × 8",
        "stub.index": "cut off",
        "cut.npz": "claims 9 × 8",
        "two.npz": "its arrays are a, b",
        "zip.npz": "cannot be read",
        "no.parquet": "cannot be read",
        "no.arrow": "cannot be read",
        "null.parquet": "Row 1 of .* has no vector",
        "r.parquet": "Row 1 of .* 1 dimensions",
        "none.parquet": r"its columns are x \(int64\)",
        "v.pkl": "never opened",
        "missing.npy": "There is no",
        "made": "holds no img_emb",
    }.items():
        with pytest.raises(QueryError, match=said):
            library.add_vectors(tmp_path / name)
    assert library.info()["version"] == 1
    assert library.add_vectors(tmp_path / "two.npz", columns={"vector": "b"}).added == 8


def test_a_table_that_does_not_fit_is_refused(tmp_path, vectors):
    library = new(tmp_path)
    for options, said in (
        ({"table": pd.DataFrame({"file": ["a"]})}, "8 vectors, but the table has 1 rows"),
        ({"columns": {"path": "nope"}}, "no column 'nope'"),
        ({"columns": {"colour": "nope"}}, "not 'colour'"),
        ({"images": tmp_path / "nowhere"}, "does not exist"),
    ):
        with pytest.raises(QueryError, match=said):
            library.add_vectors(vectors[0], **options)


# Interrupted


def test_an_import_that_is_ended_goes_on_where_it_was(tmp_path, monkeypatch):
    array = np.random.default_rng(0).normal(size=(60_000, D)).astype(np.float32)
    np.save(tmp_path / "v.npy", array)
    library = new(tmp_path)
    script = f"""
import sys, time
sys.path.insert(0, {os.path.dirname(__file__)!r})
from explorer.library import Library
from explorer.library.importing import parts, plan, rows
parts.CHUNK_BYTES = rows.SEGMENT_BYTES = 4 * {D} * 4_000
library = Library.open({str(library.folder)!r})
for progress in library.importing_vectors(plan({str(tmp_path / "v.npy")!r}, library.space)):
    print(progress.committed, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 12_000:
        time.sleep(0)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    library.refresh()
    kept = len(library)
    assert process.returncode == -signal.SIGTERM and 12_000 <= kept < 60_000
    assert kept % 4_000 == 0 and library.verify(True) == []
    done = library.add_vectors(tmp_path / "v.npy", check_model=False)
    assert (done.added, done.unchanged) == (60_000 - kept, kept)
    np.testing.assert_array_equal(np.asarray(library.vectors), array)


def test_libraries_of_images_have_the_manifest_that_they_had(tmp_path, images, encoder):
    library = new(tmp_path)
    run(library, images, encoder)
    text = (library.folder / "manifests" / "00000002.json").read_text()
    assert '"side"' not in text and '"unit"' not in text
