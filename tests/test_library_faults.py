"""Nothing acknowledged is lost: processes are killed, disks fill up, bits flip, files vanish."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakes import ColourEncoder, coloured, image, names, run
from pyarrow import parquet

from explorer.errors import LibraryDamaged, LibraryError
from explorer.library import Library, adding, segments

ALL = [b"%02d.png" % number for number in range(12)]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02d}.png").write_bytes(image(number))
    return folder


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch):
    monkeypatch.setattr(adding, "SEGMENT_ROWS", 4)


@pytest.fixture
def library(tmp_path, images):
    library = Library.create(tmp_path / "library", coloured())
    run(library, images, ColourEncoder())
    return library


def segment_files(library):
    return sorted(library.folder.glob("segments/*/*"))


def manifests(library):
    return sorted(library.folder.glob("manifests/*.json"))


def check_complete(folder, images):
    """Adding again ends with every image once."""
    library = Library.open(folder)
    run(library, images, ColourEncoder())
    assert names(library) == ALL and library.verify(read_data=True) == []


def test_segments_are_on_disk_before_the_manifest_that_names_them(tmp_path, images, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor):
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def record_replace(source, target):
        calls.append(("replace", str(source), str(target)))
        replace(source, target)

    library = Library.create(tmp_path / "library", coloured())
    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    monkeypatch.setattr(adding, "SEGMENT_ROWS", 100)
    run(library, images, ColourEncoder())
    folder = str(tmp_path / "library")
    renames = [i for i, call in enumerate(calls) if call[0] == "replace"]
    segment, manifest = (calls[i] for i in renames)
    before = [call[1] for call in calls[: renames[0]]]
    assert before == [f"{segment[1]}/rows.parquet", f"{segment[1]}/vectors.npy", segment[1]]
    assert calls[renames[0] + 1] == ("fsync", f"{folder}/segments")
    assert calls[renames[0] + 2] == ("fsync", manifest[1])
    assert calls[renames[1] + 1 :] == [("fsync", f"{folder}/manifests")]


@pytest.mark.parametrize("name", ["fsync", "replace", "open", "mkdir"])
def test_a_disk_that_fails_at_any_call_costs_nothing_acknowledged(
    tmp_path, images, monkeypatch, name
):
    monkeypatch.setattr(adding, "SEGMENT_ROWS", 6)
    reached = 0
    for failing in range(40):
        code = (errno.ENOSPC, errno.EIO)[failing % 2]
        folder = tmp_path / f"library-{failing}"
        library = Library.create(folder, coloured())
        acknowledged, failed = 0, False
        with monkeypatch.context() as patch:
            fail_at(patch, name, failing, OSError(code, os.strerror(code)), folder)
            try:
                for progress in library.adding(images, encoder=ColourEncoder(), workers=0):
                    acknowledged = progress.committed
            except LibraryError as error:
                failed = True
                assert "rows are saved" in str(error) and os.strerror(code) in str(error)
        opened = Library.open(folder)
        assert opened.warnings == [] and opened.verify(read_data=True) == []
        assert len(opened) >= acknowledged
        assert not list(folder.glob("*/.tmp-*")), "nothing half written stays"
        check_complete(folder, images)
        reached += failed
        if not failed:
            break
    assert not failed and reached >= 2


def test_an_interrupt_within_a_commit_costs_nothing(tmp_path, images, monkeypatch):
    for name, call in [("fsync", n) for n in range(6)] + [("replace", 0), ("replace", 1)]:
        folder = tmp_path / f"{name}-{call}"
        library = Library.create(folder, coloured())
        with monkeypatch.context() as patch:
            fail_at(patch, name, call, KeyboardInterrupt(), folder)
            with pytest.raises(KeyboardInterrupt):
                run(library, images, ColourEncoder())
        assert len(Library.open(folder)) == 4 and library.verify(read_data=True) == []
        check_complete(folder, images)


def fail_at(patch, name, failing, error, folder):
    """Make the n-th call within the library's segments and manifests fail."""
    real, count = getattr(os, name), 0

    def inside(argument):
        if isinstance(argument, int):
            argument = os.readlink(f"/proc/self/fd/{argument}")
        return any(f"{folder}/{part}" in os.fspath(argument) for part in ("segments", "manifests"))

    def call(*arguments, **options):
        nonlocal count
        if inside(arguments[0]):
            count += 1
            if count == failing + 1:
                raise error
        return real(*arguments, **options)

    patch.setattr(os, name, call)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from fakes import ColourEncoder, coloured
from explorer.library import Library, adding
import pandas, pyarrow.parquet
adding.SEGMENT_ROWS = 4
images, base = sys.argv[2:4]
for point in map(int, sys.argv[4:]):
    if os.fork():
        os.wait()
        continue
    library = Library.create(f"{base}/{point}", coloured())
    count = 0
    def counted(real):
        def call(*arguments):
            global count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)
        return call
    os.fsync, os.replace = counted(os.fsync), counted(os.replace)
    acknowledged = os.open(f"{base}/{point}.ack", os.O_CREAT | os.O_WRONLY)
    for progress in library.adding(images, encoder=ColourEncoder(), workers=0):
        os.pwrite(acknowledged, b"%03d" % progress.committed, 0)
    os.pwrite(acknowledged, b"end", 0)
    os._exit(0)
"""


def test_a_killed_add_loses_and_doubles_nothing(tmp_path, images):
    tests = str(Path(__file__).parent)
    points = ["1", "2", "4", "5", "6", "7", "8", "9", "12", "13", "16", "17", "23", "24", "25"]
    subprocess.run(
        [sys.executable, "-c", KILLED, tests, images, tmp_path, *points], check=True, timeout=60
    )
    outcomes = {point: (tmp_path / f"{point}.ack").read_text() for point in points}
    assert sorted(set(outcomes.values()) - {""}) == ["000", "004", "008", "end"]
    for point, outcome in outcomes.items():
        opened = Library.open(tmp_path / point)
        acknowledged = {"": 0, "end": 12}.get(outcome) if not outcome.isdigit() else int(outcome)
        assert acknowledged <= len(opened) <= acknowledged + 4
        assert opened.verify(read_data=True) == [] and opened.warnings == []
        check_complete(tmp_path / point, images)


def test_every_flipped_bit_is_found_by_verify(library):
    rng = np.random.default_rng(0)
    for file in [*segment_files(library), *manifests(library)]:
        whole = file.read_bytes()
        for _ in range(8):
            content = bytearray(whole)
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
            file.write_bytes(content)
            problems = Library.open(library.folder).verify(read_data=True)
            assert any(str(file) in problem for problem in problems)
        file.write_bytes(whole)
    assert library.verify(read_data=True) == []


def test_damaged_rows_are_refused_where_they_are_used(library):
    opened = Library.open(library.folder)
    file = next(f for f in segment_files(library) if f.name == "rows.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    with pytest.raises(LibraryDamaged, match=r"rows\.parquet.*repair"):
        _ = opened.rows
    assert len(Library.open(library.folder).rows) == 8


def test_a_damaged_manifest_is_skipped_with_a_warning(library, images):
    newest = manifests(library)[-1]
    newest.write_bytes(newest.read_bytes()[:-10])
    opened = Library.open(library.folder)
    assert len(opened) == 8 and "was skipped" in opened.warnings[0]
    run(opened, images, ColourEncoder())
    assert names(opened) == ALL and newest.exists(), "it is evidence; only repair moves it"
    (problem,) = opened.verify(read_data=True)
    assert str(newest) in problem
    assert newest.name in opened.repair()[0] and not newest.exists()
    check_complete(library.folder, images)


def test_no_manifest_that_can_be_trusted_is_said_so(library):
    for file in manifests(library):
        file.write_bytes(b"{}")
    with pytest.raises(LibraryDamaged, match="No manifest"):
        Library.open(library.folder)


def test_at_least_three_manifests_are_kept(library):
    assert len(manifests(library)) == 3
    assert library.info()["version"] == 4


@pytest.mark.parametrize("fault", ["flip", "cut", "missing file", "missing folder"])
@pytest.mark.parametrize("which", [0, -1])
def test_repair_sets_damage_aside_and_adding_again_heals(library, images, fault, which):
    segments = library._store.manifest.segments
    folder = library.folder / "segments" / segments[which].id
    file = folder / "vectors.npy"
    if fault == "flip":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif fault == "cut":
        os.truncate(file, 100)
    elif fault == "missing file":
        file.unlink()
    else:
        shutil.rmtree(folder)
    opened = Library.open(library.folder)
    problems = opened.verify(read_data=True)
    assert problems and folder.name in problems[0]
    done = opened.repair()
    assert any(folder.name in line for line in done)
    assert (opened.folder / "quarantine" / folder.name).exists() == (fault != "missing folder")
    assert len(opened) == 8 and opened.verify(read_data=True) == []
    assert opened.repair() == []
    check_complete(library.folder, images)


def test_a_library_with_a_missing_segment_is_read_without_it_but_not_written(library, images):
    first = library._store.manifest.segments[0]
    shutil.rmtree(library.folder / "segments" / first.id)
    opened = Library.open(library.folder)
    assert len(opened) == 8 and first.id in opened.warnings[0]
    assert len(opened.search(opened.points([0]), k=20)) == 8
    with pytest.raises(LibraryDamaged, match="repair"):
        run(opened, images, ColourEncoder())


def test_a_lost_retirement_does_not_double_a_image(library, images):
    for number in (100, 200):
        (images / "00.png").write_bytes(image(number))
        run(library, images, ColourEncoder())
    middle = library._store.manifest.segments[-2]
    os.truncate(library.folder / "segments" / middle.id / "retired.npy", 3)
    opened = Library.open(library.folder)
    opened.repair()
    assert names(opened) == ALL and opened.verify(read_data=True) == []
    check_complete(library.folder, images)


def test_no_orphan_is_deleted_while_a_manifest_is_damaged(library, images):
    orphan = library.folder / "segments" / ("0" * 32)
    orphan.mkdir()
    os.utime(orphan, (time.time() - 4000,) * 2)
    manifests(library)[0].write_bytes(b"")
    run(library, images, ColourEncoder())
    assert orphan.exists()


def test_temporary_files_of_killed_runs_leave_the_cache(library, images):
    left = library.cache_folder / f".tmp-{'0a' * 16}.npz"
    for use in (
        lambda: Library.open(library.folder).cache_folder,
        lambda: run(library, images, ColourEncoder()),
    ):
        left.write_bytes(b"half")
        os.utime(left, (time.time() - 4000,) * 2)
        use()
        assert not left.exists()


def test_arrow_reads_no_bytes_of_python(library, monkeypatch):
    """A thread of Arrow's that lets go of them while Python ends aborts the process."""
    content, reading, tried = segments._read_checked, parquet.read_table, []

    def read(*words, **options):
        tried[-1].append(0)  # BufferError while Arrow holds it
        return reading(*words, **options)

    def as_bytearray(*words):
        tried.append(bytearray(content(*words)))
        return tried[-1]

    monkeypatch.setattr(segments, "_read_checked", as_bytearray)
    monkeypatch.setattr(parquet, "read_table", read)
    assert len(Library.open(library.folder).rows) == 12 and tried
