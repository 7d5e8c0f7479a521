"""A file under its final name is whole, and what the disk refuses is one sentence."""

import errno
import os
import time

import pytest

from explorer.errors import DiskError, ExplorerError, LibraryError
from explorer.files import (
    collect_temporary,
    finish_file,
    link_or_copy,
    replace_files,
    write_file,
    writing,
    writing_folder,
)
from explorer.refusals import explain_failure


def refuse(monkeypatch, name, code=errno.ENOSPC):
    def call(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, call)


def write_folder(folder, files):
    with writing_folder(folder) as temporary:
        for name, content in files.items():
            (temporary / name).write_bytes(content)


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch, name):
    file = tmp_path / "a.bin"
    write_file(file, b"old")
    refuse(monkeypatch, name)
    with pytest.raises(DiskError, match=r"a\.bin cannot be written: No space .* MB are free"):
        write_file(file, b"new")
    assert file.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_a_block_that_raises_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "a.npz") as temporary:
        assert temporary.suffix == ".npz"
        temporary.write_bytes(b"half")
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), writing_folder(tmp_path / "b") as temporary:
        (temporary / "c").write_bytes(b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_an_error_of_another_file_is_not_blamed_on_this_one(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, writing(tmp_path / "a.mp4"):
        (tmp_path / "frame.png").read_bytes()
    assert not isinstance(caught.value, ExplorerError)


def test_the_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DiskError, match=r"x/a\.bin cannot be written: No such file") as caught:
        write_file(tmp_path / "x" / "a.bin", b"")
    assert caught.value.exit_code == 2


def test_a_folder_appears_with_all_its_files(tmp_path):
    write_folder(tmp_path / "a", {"1": b"one", "2": b"two"})
    assert (tmp_path / "a/1").read_bytes() == b"one"
    with pytest.raises(DiskError, match="a cannot be written"):
        write_folder(tmp_path / "a", {"3": b""})
    assert sorted(os.listdir(tmp_path / "a")) == ["1", "2"]


def test_a_file_is_linked_and_copied_where_there_are_no_links(tmp_path, monkeypatch):
    write_file(tmp_path / "a", b"one")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")
    refuse(monkeypatch, "link", errno.EPERM)
    link_or_copy(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"one"
    assert not (tmp_path / "a").samefile(tmp_path / "c")


def test_files_are_replaced_with_the_one_that_vouches_for_them_last(tmp_path, monkeypatch):
    write_folder(tmp_path / "new", {"a.json": b"2", "w": b"2"})
    write_folder(tmp_path / "old", {"a.json": b"1", "w": b"1", "kept": b"1"})
    moved, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(b.name), replace(a, b)))
    replace_files(tmp_path / "new", tmp_path / "old", last="a.json")
    assert moved == ["w", "a.json"]
    assert {f.name: f.read_bytes() for f in (tmp_path / "old").iterdir()} == {
        "a.json": b"2",
        "w": b"2",
        "kept": b"1",
    }


def test_a_finished_part_gets_its_name(tmp_path):
    (tmp_path / "a.part").write_bytes(b"all")
    finish_file(tmp_path / "a.part", tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]


def test_an_outer_explanation_keeps_the_reason(tmp_path):
    with (
        pytest.raises(LibraryError, match=r"lib cannot be written: No such file.* 3 rows"),
        explain_failure(tmp_path / "lib", "3 rows are saved.", kind=LibraryError),
    ):
        write_file(tmp_path / "lib" / "x" / "a", b"")


def test_what_killed_processes_left_is_collected_after_an_hour(tmp_path):
    names = [
        f".tmp-{'0a' * 16}.npz",
        f".tmp-{'0b' * 16}",
        f".tmp-{'0c' * 16}",
        ".tmp-mine",
        "a.npz",
    ]
    for name in names:
        (tmp_path / name).mkdir() if name.endswith("0b") else (tmp_path / name).write_bytes(b"x")
    for name in (*names[:2], *names[3:]):
        os.utime(tmp_path / name, (time.time() - 4000,) * 2)
    collect_temporary(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(names[2:]), "young ones and those of others stay"
    collect_temporary(tmp_path / "none")


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_a_name_that_the_disk_did_not_confirm_is_not_called_unwritten(write, tmp_path, monkeypatch):
    """The new content is there: to say that the old one is unchanged would be false."""
    target, sync = tmp_path / "a", os.fsync

    def fsync(descriptor):
        if os.path.samestat(os.fstat(descriptor), tmp_path.stat()):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    content = b"new" if write is write_file else {"b": b"new"}
    with pytest.raises(DiskError, match="in its place and whole, but the disk did not") as refused:
        write(target, content)
    assert "unchanged" not in str(refused.value)
    assert (target if write is write_file else target / "b").read_bytes() == b"new"
