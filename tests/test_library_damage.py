"""What is stored is checked whole when it may have changed, and never used when it differs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import ColourEncoder, coloured, image, names, run

from explorer.cache_files import read_cache, write_cache
from explorer.errors import LibraryDamaged
from explorer.library import Library, adding, checked_files
from explorer.notes import collecting


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Twelve images in three segments."""
    monkeypatch.setattr(adding, "SEGMENT_ROWS", 4)
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02d}.png").write_bytes(image(number))
    library = Library.create(tmp_path / "library", coloured())
    run(library, folder, ColourEncoder())
    return library


@pytest.fixture
def settled(library, monkeypatch):
    """The same, with checks that are kept at once."""
    monkeypatch.setattr(checked_files, "SETTLED_SECONDS", -1)
    Library.open(library.folder)
    return library.folder


@pytest.fixture
def hashed(monkeypatch):
    """The files that are read whole to be checked."""
    read, real = [], checked_files.CheckedFiles._full_check

    def counted(self, key, file, record):
        read.append(file)
        return real(self, key, file, record)

    monkeypatch.setattr(checked_files.CheckedFiles, "_full_check", counted)
    return read


def flip(file, at=-1):
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def vectors_of(folder, which=0):
    segment = Library.open(folder)._store.manifest.segments[which]
    return folder / "segments" / segment.id / "vectors.npy"


def test_files_are_read_whole_once(settled, hashed):
    Library.open(settled)
    assert Library.open(settled).verify() == [] and hashed == []
    assert Library.open(settled).verify(read_data=True) == [] and len(hashed) == 6
    file = vectors_of(settled, 1)
    os.utime(file)
    hashed.clear()
    Library.open(settled)
    assert hashed == [file]


def test_files_that_just_changed_are_read_again(library, hashed):
    for _ in range(2):
        Library.open(library.folder)
    assert len(hashed) == 12, "a change within one tick of the clock would not be seen"


def age(folder, days, file=None):
    """Make the kept checks older, and true of `file` as it is now."""
    cache = folder / "cache" / "checked"
    checks = json.loads(read_cache(cache, checked_files.FORMAT))
    for name, (identity, sha256, seconds) in checks.items():
        own = file is not None and name.startswith(file.parent.name) and name.endswith(file.name)
        now = list(checked_files.Identity.of(file.stat())) if own else identity
        checks[name] = [now, sha256, seconds - days * 86400]
    write_cache(cache, checked_files.FORMAT, json.dumps(checks).encode())


def test_a_flip_that_changes_no_time_is_found_after_30_days_or_by_verify(settled):
    file, checks = vectors_of(settled), (settled / "cache" / "checked").read_bytes()
    flip(file)
    age(settled, 29, file)
    assert Library.open(settled).warnings == []
    age(settled, 2)
    assert "left out" in Library.open(settled).warnings[0]
    (settled / "cache" / "checked").write_bytes(checks)
    age(settled, 0, file)
    opened = Library.open(settled)
    assert opened.warnings == []
    (problem,) = opened.verify(read_data=True)
    assert str(file) in problem
    with pytest.raises(LibraryDamaged, match="checksum differs"):
        opened.points()
    assert "left out" in Library.open(settled).warnings[0], "what verify found is not forgotten"


def test_checks_from_the_future_count_for_nothing(settled, hashed):
    age(settled, -1)
    Library.open(settled)
    assert len(hashed) == 6


@pytest.mark.parametrize("content", [b"", b"{}\n[]", None])
def test_damaged_checks_are_noted_and_made_again(settled, hashed, content):
    cache = settled / "cache" / "checked"
    cache.write_bytes(content) if content is not None else flip(cache)
    with collecting() as notes:
        Library.open(settled)
    assert "checked" in notes[0] and "was damaged" in notes[0] and len(hashed) == 6
    with collecting() as notes:
        Library.open(settled)
    assert notes == []


def test_swapped_rows_are_found(library):
    file = vectors_of(library.folder)
    vectors = np.load(file)
    np.save(file, vectors[::-1])
    opened = Library.open(library.folder)
    assert len(opened) == 8 and "left out" in opened.warnings[0]


def test_a_change_while_it_is_open_is_refused_where_it_is_read(library):
    opened = Library.open(library.folder)
    flip(vectors_of(library.folder))
    with pytest.raises(LibraryDamaged, match="changed while the library was open.*unclip repair"):
        opened.points()
    with pytest.raises(LibraryDamaged, match="changed while"):
        opened.search(ColourEncoder().encode_text(["red"]))


def test_what_a_damaged_segment_removed_stays_removed(library, tmp_path):
    (tmp_path / "images" / "00.png").unlink()
    (tmp_path / "images" / "12.png").write_bytes(image(12))
    (tmp_path / "images" / "13.png").write_bytes(image(13))
    run(library, tmp_path / "images", ColourEncoder())
    for number in (14, 15, 16):  # so that no older version is kept
        (tmp_path / "images" / f"{number}.png").write_bytes(image(number))
        run(library, tmp_path / "images", ColourEncoder())
    flip(vectors_of(library.folder, 3))
    opened = Library.open(library.folder)
    assert names(opened) == [b"%02d.png" % n for n in [*range(1, 12), 14, 15, 16]]
    assert "2 of 17 stored rows are left out" in opened.warnings[0]
    opened.repair()
    assert opened.verify(read_data=True) == [] and opened.warnings == []
    assert names(opened) == [b"%02d.png" % n for n in [*range(1, 12), 14, 15, 16]]


def test_an_older_version_is_used_only_if_it_has_no_fewer_rows(library):
    flip(vectors_of(library.folder, 0))
    for manifest in sorted(library.folder.glob("manifests/*.json"))[:-1]:
        manifest.unlink()
    empty = library._store.manifest
    assert empty.rows == 12
    assert len(Library.open(library.folder)) == 8


def test_an_index_of_another_damage_is_not_used(library):
    """Both libraries lack one segment of three; their caches are not each other's."""
    keys = set()
    for which in (0, 1):
        file = vectors_of(library.folder, which)
        for manifest in sorted(library.folder.glob("manifests/*.json"))[:-1]:
            manifest.unlink()
        before = file.read_bytes()
        flip(file)
        opened = Library.open(library.folder)
        assert len(opened) == 8
        keys.add(opened.cache_key)
        file.write_bytes(before)
    assert len(keys | {Library.open(library.folder).cache_key}) == 3


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_any_rows_in_any_order_are_read(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr("explorer.library.stored_vectors.MAX_RUN_ROWS", 3)
    library = Library.create(tmp_path / "library", coloured(), dtype=dtype)
    stored = np.random.default_rng(0).normal(size=(40, 8)).astype(dtype)
    for part in (stored[:25], stored[25:]):
        library.add_vectors(part.astype(np.float32), check_model=False)
    stored = stored.astype(np.float32)
    vectors = Library.open(library.folder).vectors
    for rows in ([5], [39, 0, 25, 24], [24, 25, 26], [7, 7, 8], list(range(40)), []):
        np.testing.assert_array_equal(vectors[rows], stored[rows])
    np.testing.assert_array_equal(np.array(vectors), stored)
    np.array(vectors)[:] = 0
    np.testing.assert_array_equal(vectors[3:9], stored[3:9])


CUT = """
import os, sys
sys.path[:0] = [sys.argv[2]]
from fakes import ColourEncoder
from explorer.errors import ExplorerError
from explorer.library import Library
library = Library.open(sys.argv[1])
query = ColourEncoder().encode_text(["red"])
assert len(library.search(query)) == 12
for file in library.folder.glob("segments/*/vectors.npy"):
    os.truncate(file, 10)
try:
    library.search(query).points
except ExplorerError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_file_that_is_cut_off_while_it_is_open_ends_in_a_sentence(library):
    many = np.random.default_rng(0).normal(size=(2000, 8))  # more than a page of memory
    library.add_vectors(many.astype(np.float32), check_model=False)
    tests = str(Path(__file__).parent)
    ran = subprocess.run(
        [sys.executable, "-c", CUT, str(library.folder), tests],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode != -signal.SIGBUS
    assert ran.returncode == 2, ran.stderr
    assert "cut off" in ran.stdout and ran.stdout.count("\n") == 1 and ran.stderr == ""
    assert "unclip verify" in ran.stdout and "unclip repair" in ran.stdout


def test_a_library_on_a_disk_that_takes_no_cache_is_checked_each_time(library, hashed):
    (library.folder / "cache").mkdir(exist_ok=True)
    (library.folder / "cache" / "checked").mkdir()
    for _ in range(2):
        assert Library.open(library.folder).warnings == []
    assert len(hashed) == 12
