"""A flipped bit is found, or changes nothing that a person sees."""

import flips
import pytest

from explorer.library import Library
from explorer.library.checked_files import CheckedFiles, Identity


def check(rows, count):
    rows = list(rows)
    assert [row.test for row in rows] == [f"flips: {kind}" for kind in flips.FILES]
    for row in rows:
        assert row[1:] == (count, 0, 0, 0, 0), row


def test_a_few_flips_of_each_file_are_found(tmp_path):
    check(flips.run(3, tmp_path), 3)


@pytest.mark.slow
def test_a_hundred_flips_of_each_file_are_found(tmp_path):
    check(flips.run(100, tmp_path), 100)


def test_the_plan_counts_what_is_used_silently(tmp_path, monkeypatch):
    def unread(_self, _key, file, _record):
        return Identity.of(file.stat()), ""

    monkeypatch.setattr(CheckedFiles, "_full_check", unread)
    (row,) = flips.run(3, tmp_path, ["vectors"])
    assert row.silently_wrong >= 1


def test_the_plan_counts_what_is_lost_and_what_raises(tmp_path, monkeypatch):
    folder = flips.make(tmp_path)
    truth = flips.look(Library.open(folder))
    file = next(folder.glob(flips.FILES["vectors"]))
    monkeypatch.setattr(flips, "look", lambda _: truth | {"rows": {}})
    assert flips.once(folder, file, 999, truth)["lost"] == 1
    monkeypatch.setattr(flips, "look", lambda _: 1 / 0)
    assert flips.once(folder, file, 999, truth)["tracebacks"] == 1
