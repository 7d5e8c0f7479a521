"""Compacting: few segments in place of many, and every row, column, result and id as before."""

import os
import shutil

import numpy as np
import pytest
from fakes import coloured, image, run

from explorer import Library
from explorer.errors import LibraryDamaged, LibraryLocked
from explorer.library import adding, compacting
from explorer.library.lock import WriterLock


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch):
    monkeypatch.setattr(adding, "SEGMENT_ROWS", 3)


def everything(library):
    """All that a library says: rows, vectors, columns, errors, sources, and two searches."""
    rows = library.rows
    values = {name: list(map(repr, rows[name])) for name in rows.columns}
    count = len(library)
    hits = [library.search(library.points([row]), count) for row in (0, count - 1)] if count else []
    contents = library._store.contents
    info = library.info()
    return {
        "columns": library.columns,
        "types": [str(kind) for kind in rows.dtypes],
        "values": values,
        "offsets": contents.table.filter(contents.live).column("offset").to_pylist(),
        "vectors": np.asarray(library.vectors).tobytes(),
        "found": [(h.rows.tolist(), h.scores.tobytes(), list(map(repr, h))) for h in hits],
        "errors": library.errors.to_dict("records"),
        "failures": contents.failures,
        **{name: info[name] for name in ("rows", "sources", "left_out", "errors", "dtype")},
    }  # fmt: skip


def live_through(library, images, encoder, seed):
    """Change images, names and columns at random, with an `add` after each."""
    rng = np.random.default_rng(seed)
    (images / "captions.csv").write_text("file,caption,year\n0.png,a,1\n1.png,b,2\n")
    (images / "broken.png").write_bytes(b"no image")
    run(library, [images], encoder)
    for step in range(8):
        files = sorted(images.rglob("*.png"))
        file = files[rng.integers(len(files))]
        match rng.integers(6):
            case 0:
                file.write_bytes(image(1000 + 100 * seed + step))
            case 1:
                file.rename(file.with_name(f"moved{step}.png"))
            case 2:
                file.unlink()
            case 3:
                (images / f"new{step}.png").write_bytes(image(100 + step))
            case 4:
                values = [None if rng.random() < 0.3 else step + i for i in range(len(library))]
                library.set_columns({f"set{rng.integers(3)}": values})
            case 5:
                (images / "captions.csv").write_text(f"file,caption,year\n2.png,c,in {step}\n")
        run(library, [images], encoder)


@pytest.mark.parametrize("seed", [0, pytest.param(range(1, 12), marks=pytest.mark.slow)])
@pytest.mark.parametrize("most", [4, 1000])
def test_all_is_equal_before_and_after(tmp_path, images, encoder, monkeypatch, seed, most):
    monkeypatch.setattr(compacting, "MAX_ROWS", most)
    whole = images
    for each in seed if isinstance(seed, range) else [seed]:
        library = Library.create(tmp_path / f"{each}.lib", coloured())
        images = shutil.copytree(whole, tmp_path / f"images {each}")
        live_through(library, images, encoder, each)
        library.set_columns({"tag": list(map(os.path.basename, library.rows["item"]))})
        before, stored = everything(library), library.info()
        done = library.compact()
        again = Library.open(library.folder)
        assert everything(library) == before == everything(again)
        assert again.verify(read_data=True) == [] and again.warnings == []
        (columns,) = again._store.contents.set_columns
        assert columns.column("number").to_pylist() == again._store.contents.living.tolist()
        assert done.segments == (stored["segments"], again.info()["segments"])
        assert done.bytes == (stored["bytes"], again.info()["bytes"])
        assert done.dropped == stored["retired"] and again.info()["retired"] == 0
        assert again.info()["segments"] <= 2 + -(-len(again) // (most // 2))
        assert run(again, [images], encoder).embedded == 0
        live_through(again, images, encoder, each + 1)
        before = everything(again)
        again.compact()
        assert everything(again) == before and again.verify(read_data=True) == []


def test_a_second_time_there_is_nothing_to_do(library, images, encoder):
    run(library, [images], encoder)
    library.set_columns({"tag": [1] * 8})
    assert library.compact().segments == (4, 2)
    version = library.info()["version"]
    again = library.compact()
    assert again.segments == (2, 2) and str(again).startswith("nothing to compact")
    assert library.info()["version"] == version
    (images / "8.png").write_bytes(image(8))
    run(library, [images], encoder)
    assert library.compact().segments == (3, 2)


def test_a_large_whole_segment_is_not_written_again(library, images, encoder, monkeypatch):
    monkeypatch.setattr(adding, "SEGMENT_ROWS", 6)
    monkeypatch.setattr(compacting, "MAX_ROWS", 6)
    run(library, [images], encoder)
    (images / "8.png").write_bytes(image(8))
    run(library, [images], encoder)
    first = library._store.manifest.segments[0]
    before = everything(library)
    assert library.compact().segments == (3, 2)
    assert library._store.manifest.segments[0] == first and everything(library) == before


def test_vectors_keep_their_type(tmp_path, images, encoder):
    library = Library.create(tmp_path / "half.lib", coloured(), dtype="float16")
    run(library, [images], encoder)
    np.save(tmp_path / "large.npy", np.full((2, 8), 1e6, np.float32))
    library.add_vectors(tmp_path / "large.npy", check_model=False)
    before = everything(library)
    assert library.compact().segments == (4, 2)
    assert [s.dtype for s in library._store.manifest.segments] == ["float16", "float32"]
    assert everything(library) == before


def test_a_library_whose_rows_all_went_keeps_its_failures_and_columns(library, images, encoder):
    (images / "broken.png").write_bytes(b"no image")
    run(library, [images], encoder)
    library.set_columns({"tag": [1] * 8})
    for file in images.rglob("[0-9].png"):
        file.unlink()
    run(library, [images], encoder)
    library.compact()
    again = Library.open(library.folder)
    assert len(again) == 0 and len(again.errors) == 1 and again.columns == ["tag"]
    assert again.verify(read_data=True) == []


def test_old_segments_stay_for_who_reads_them_and_go_by_the_rule_of_garbage(
    library, images, encoder
):
    run(library, [images], encoder)
    reader = Library.open(library.folder)
    old = {segment.id for segment in library._store.manifest.segments}
    done = library.compact()
    assert done.waiting == done.bytes[0] and "stay until 2 more versions" in str(done)
    assert len(reader.search(reader.points([3]), 8)) == 8
    for _ in range(3):
        library.set_columns({"tag": [1] * 8})
    for entry in library.folder.glob("segments/*"):
        os.utime(entry, (0, 0))
    library.set_columns({"tag": [2] * 8})
    assert not old & {entry.name for entry in library.folder.glob("segments/*")}
    assert Library.open(library.folder).verify(read_data=True) == []


@pytest.mark.parametrize("damaged", range(3))
def test_damage_is_not_copied(library, images, encoder, damaged):
    """Nor is an older version made the newest, where that makes up for the damage."""
    run(library, [images], encoder)
    before = sorted(os.listdir(library.folder / "manifests"))
    segment = library._store.manifest.segments[damaged].id
    file = library.folder / "segments" / segment / "vectors.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(LibraryDamaged, match="unclip repair"):
        library.compact()
    assert sorted(os.listdir(library.folder / "manifests")) == before


def test_one_writer_at_a_time(library):
    with WriterLock(library.folder), pytest.raises(LibraryLocked):
        library.compact()
