"""The plan of faults, with small counts; and that its rows count what they are to count."""

import os

import plan
import power_cuts
import pytest
from table import Row, markdown


def clean(name, count):
    row, megabytes = plan.measured(name, count)
    if not row.count:
        pytest.skip(row.note)
    assert row.faults == 0, row
    assert megabytes > 30
    return row


def test_a_few_kills_lose_nothing():
    assert clean("kills", 3).count == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", plan.PLAN)
def test_each_row_of_the_plan_in_small(name):
    clean(name, 2)


def test_a_corpus_that_is_not_there_is_a_row_that_says_so(monkeypatch):
    monkeypatch.delenv("UNCLIP_CORPORA", raising=False)
    row, _ = plan.measured("corpora: Pillow", 1)
    assert row.count == 0 and "UNCLIP_CORPORA names no folder" in row.note


def test_a_row_that_fails_itself_is_no_zero():
    row, _ = plan.row_of(["-c", "import sys; sys.exit(3)"])
    assert row.tracebacks == 1 and "ended with 3" in row.note


def test_the_table_has_dashes_where_nothing_was_run():
    text = markdown([(Row("a", 0, note="not run: no root"), 0), (Row("b", 2, 1), 99.6)], "Today:")
    assert "| a | 0 | – | – | – | – | – |" in text and "- a: not run: no root" in text
    assert "| b | 2 | 1 | 0 | 0 | 0 | 100 MB |" in text


def test_work_in_a_copy_returns_or_raises():
    code = (
        "import json\n"
        "from forks import call\n"
        "try: call(lambda: 1 / 0)\n"
        "except RuntimeError as error: said = str(error)\n"
        "print('ROW', json.dumps([said.split()[-1], call(abs, -2)]))"
    )
    row, _ = plan.row_of(["-c", code])
    assert row[:2] == ("zero", 2)


def test_the_disk_of_power_cuts_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(power_cuts.Skipped, match="only root"):
        power_cuts.Disk(tmp_path)
