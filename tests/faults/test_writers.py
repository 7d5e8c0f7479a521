"""Where the disk refuses, every command says so in one sentence and leaves nothing half written."""

from contextlib import nullcontext

import pytest
from disks import faults, full, read_only, tmpfs, with_limit
from PIL import Image
from writers import OLD, WRITERS, make_inputs, run

from explorer.errors import DiskError
from explorer.video import SUFFIXES, write_video


@pytest.fixture(scope="module")
def inputs(emoji_images, emoji, tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"), emoji_images, emoji)


ALWAYS = ("index", "import", "search --sheet", "export npy", "export parquet")
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


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_that_does_not_fit_leaves_the_older_one(suffix, tmp_path):
    file = tmp_path / f"a{suffix}"
    file.write_bytes(OLD)
    with (
        pytest.raises(DiskError, match="File too large.* The file that was there is unchanged"),
        with_limit(tmp_path),
    ):
        write_video([Image.new("RGB", (256, 256))] * 2, file, fps=2)
    assert file.read_bytes() == OLD and list(tmp_path.iterdir()) == [file]
