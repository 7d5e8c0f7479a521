"""Ctrl-C and SIGTERM end every command at once, with one line, and lose nothing."""

import re
import signal
import time
from pathlib import Path

import pytest
from interrupting import (
    Row,
    interrupt,
    interrupt_command,
    interrupt_index,
    interrupt_training,
)

from explorer import files
from explorer.encoder.workers import Read, _Pool

MOMENTS = (0.0, 0.4, 1.5)  # in the start-up and the imports
COUNT = 12


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_of_the_start_is_one_line(moment, emoji_images, tmp_path):
    row = Row("start")
    way = (signal.SIGINT, True, 1)
    words = ("index", emoji_images, "--model", "pocket", "--library", tmp_path / "l")
    said = interrupt(row, moment, way, *words)
    assert row.faults == 0, row.said
    assert said.startswith("unclip: interrupted") or row.finished


def test_what_is_being_written_is_removed_and_what_is_published_stays(tmp_path):
    with pytest.raises(OSError, match="No such file"), files.writing(tmp_path / "a") as temporary:
        temporary.write_bytes(b"half")
        files.remove_unfinished()
    with (
        pytest.raises(OSError, match="No such file"),
        files.writing_folder(tmp_path / "b") as temporary,
    ):
        (temporary / "c").write_bytes(b"half")
        files.remove_unfinished()
    assert list(tmp_path.iterdir()) == []
    files.write_file(tmp_path / "a", b"whole")
    files.remove_unfinished()
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_workers_never_get_an_interrupt_and_end_with_their_pool(pocket):
    before = signal.getsignal(signal.SIGINT)
    pool = _Pool(Read(pocket.encoder.preprocess), 1)
    pool.submit([b"no image"]).result()
    (worker,) = pool._pool._processes.values()
    status = Path(f"/proc/{worker.pid}/status").read_text()
    blocked = int(re.search(r"SigBlk:\s+(\w+)", status)[1], 16)
    assert blocked >> (signal.SIGINT - 1) & 1
    assert signal.getsignal(signal.SIGINT) is before
    pool.close()
    deadline = time.monotonic() + 60  # at most: a busy machine takes its time
    while worker.is_alive() and time.monotonic() < deadline:  # the pool's thread may reap it
        time.sleep(0.05)
    assert not worker.is_alive()


@pytest.mark.slow
def test_an_interrupted_index_keeps_all_and_goes_on(emoji_images, tmp_path):
    row = interrupt_index(COUNT, tmp_path, emoji_images)
    assert row.faults == 0, (str(row), row.said)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["search", "diff", "export", "map"])
def test_an_interrupted_command_leaves_no_partial_file(name, emoji, tmp_path):
    row = interrupt_command(name, COUNT, tmp_path, emoji)
    assert row.faults == 0, (str(row), row.said)


@pytest.mark.slow
def test_an_interrupted_training_saves_and_a_second_interrupt_ends_it(emoji, tmp_path):
    row = interrupt_training(COUNT, tmp_path, emoji)
    assert row.faults == 0, (str(row), row.said)
