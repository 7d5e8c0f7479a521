"""What the memory, the output or an unforeseen file refuses is one sentence too."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from explorer.cli.output import command
from explorer.errors import DiskError, OutOfMemory
from explorer.files import check_writable
from explorer.library import Library
from explorer.refusals import explain_memory, refusal

CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.19 GiB "
    "of which 1.25 GiB is free."
)


def raised_by(call):
    try:
        call()
    except (MemoryError, RuntimeError) as error:
        return error
    pytest.fail("it raised nothing")


MEMORY = {
    "numpy": lambda: np.empty(10**15, np.float64),
    "torch": lambda: torch.empty(10**15),
    "python": lambda: bytearray(2**62),
}


@pytest.mark.parametrize("call", MEMORY.values(), ids=MEMORY)
def test_memory_that_does_not_suffice_is_one_sentence(call):
    app = typer.Typer()
    app.command()(command(lambda: call()))
    result = CliRunner().invoke(app)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert line.startswith("unclip: The memory of this machine does not suffice: ")
    assert " GB are free. What was saved before is whole." in line


def test_what_an_allocation_needs_is_said():
    for name, gigabytes in (("numpy", "8,000,000.0"), ("torch", "4,000,000.0")):
        sentence = str(refusal(raised_by(MEMORY[name])))
        amount = float(sentence.split(": ")[1].split(" GB")[0].replace(",", ""))
        assert amount == pytest.approx(float(gigabytes.replace(",", "")), rel=0.02)


def test_the_memory_of_an_accelerator_is_named():
    sentence = str(refusal(torch.OutOfMemoryError(CUDA)))
    assert "the accelerator" in sentence and "--device cpu" in sentence
    assert "2.1 GB are needed at once, 1.3 GB are free" in sentence


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), KeyError("x"), ValueError()])
def test_a_fault_of_ours_stays_a_fault(error):
    assert refusal(error) is None
    with pytest.raises(type(error)), explain_memory(lambda: "3 rows are saved."):
        raise error


def test_what_was_saved_is_said():
    with (
        pytest.raises(OutOfMemory, match=r"3 rows are saved\. Ask for fewer"),
        explain_memory(lambda: "3 rows are saved."),
    ):
        bytearray(2**62)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
def test_an_unforeseen_failure_names_the_file_and_the_reason(code):
    refused = refusal(OSError(code, os.strerror(code), "/some/file"))
    assert isinstance(refused, DiskError) and refused.exit_code == 2
    assert str(refused).startswith(f"/some/file cannot be used: {os.strerror(code)}. ")


@pytest.mark.parametrize(
    ("name", "reason"), [("a" * 300 + ".png", "File name too long"), ("folder", "Is a directory")]
)
def test_a_name_that_no_file_can_have_is_refused_at_once(tmp_path, name, reason):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DiskError, match=reason):
        check_writable(tmp_path / name)
    assert os.listdir(tmp_path) == ["folder"]


def test_memory_that_runs_out_while_indexing_keeps_what_is_done(library, images, encoder):
    def few(pixels, embed=encoder.embed_pixels):
        if encoder.images:
            np.empty(10**15)
        return embed(pixels)

    encoder.batch_size, encoder.embed_pixels = 4, few
    with pytest.raises(OutOfMemory, match=r"4 rows are saved; the same command goes on"):
        library.add([images], encoder=encoder, workers=0)
    assert len(Library.open(library.folder)) == 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_for_what_is_printed_is_one_sentence(emoji):
    with open("/dev/full", "w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "explorer", "info", str(emoji)],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("unclip: What is printed cannot be written: No space left on device.")
