"""Side by side: parts of a batch on threads of their own, with the same results."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explorer import load
from explorer.device import side_by_side as module
from explorer.device.side_by_side import parts, side_by_side


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@given(st.integers(1, 500), st.integers(1, 32))
def test_parts_cover_a_batch_evenly_and_are_no_more_than_threads(rows, threads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        found = parts(rows)
    assert [i for part in found for i in range(part.start, part.stop)] == list(range(rows))
    sizes = [part.stop - part.start for part in found]
    assert len(found) <= threads and max(sizes) - min(sizes) <= 1
    assert len(found) == 1 or min(sizes) >= module.LEAST_ROWS


def test_each_part_runs_alone_and_in_order_and_nothing_stays_changed(two_threads):
    seen = []

    def call(rows):
        seen.append((threading.get_ident(), torch.get_num_threads()))
        assert torch.is_inference_mode_enabled()
        return rows.start

    assert side_by_side(call, parts(64)) == [0, 32]
    assert {threads for _, threads in seen} == {1}
    assert threading.get_ident() not in {thread for thread, _ in seen}
    assert torch.get_num_threads() == 2
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


def test_one_part_is_computed_where_it_is_asked_for(two_threads):
    assert side_by_side(lambda rows: threading.get_ident(), parts(7)) == [threading.get_ident()]


def test_what_a_part_raises_is_raised(two_threads):
    def call(rows):
        if rows.start:
            raise MemoryError("not enough")

    with pytest.raises(MemoryError, match="not enough"):
        side_by_side(call, parts(64))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vectors_do_not_depend_on_the_threads(two_threads, precision):
    encoder = load("pocket", device="cpu").encoder.whole
    encoder._precision = precision
    pixels = np.random.default_rng(0).normal(size=(40, 3, 64, 64)).astype(np.float32)
    beside = encoder.embed_pixels(pixels)
    torch.set_num_threads(1)
    alone = encoder.embed_pixels(pixels)
    assert encoder.precision == precision
    assert np.abs(beside - alone).max() < 1e-5 * np.abs(alone).max()


@pytest.mark.parametrize(
    ("given", "kept"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_wait_briefly_unless_somebody_says_otherwise(given, kept):
    """Once a core that another program had made decoding fifteen times as slow."""
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {k: v for k, v in os.environ.items() if k not in names} | given
    code = "import explorer, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(kept)
