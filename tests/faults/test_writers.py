"""Where the disk refuses, every command says so in one sentence and leaves nothing half written."""

from contextlib import nullcontext

import pytest
from disks import faults, full, read_only, tmpfs
from writers import WRITERS, make_inputs, run


@pytest.fixture(scope="module")
def inputs(emoji_images, emoji, tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"), emoji_images, emoji)


ALWAYS = ("index", "search --sheet", "export npy", "export parquet", "decode", "invert", "diff gif")
CASES = [
    pytest.param(
        name,
        fault,
        id=f"{name}, {kind}",
        marks=[] if kind == "no permission" or name in ALWAYS else pytest.mark.slow,
    )
    for kind, fault in faults().items()
    for name, writer in WRITERS.items()
    if not writer.slow
]


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_a_disk_that_refuses_is_one_sentence(name, fault, tmp_path, inputs):
    with tmpfs(tmp_path) if fault in (full, read_only) else nullcontext():
        found = run(name, fault, tmp_path, inputs)
    assert not found.traceback, found.said
    assert found.code == 2 and len(found.sentences) == 1, (found.code, found.said)
    assert found.lost == [] and found.half == []
