"""Arrays that others hand in: what cannot be used is one sentence in our words, at every door."""

import numpy as np
import pytest
from typer.testing import CliRunner

from explorer import Library
from explorer.cli import unclip

DIMENSION = 256
GOOD = np.random.default_rng(0).normal(size=(1, DIMENSION)).astype(np.float32)


def forged(shape, descr="'<f4'"):
    """An .npy file that claims a shape, with hardly any values."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)


ARRAYS = {
    "objects": np.array([[{"a": 1}]], dtype=object),
    "complex": GOOD.astype(np.complex64),
    "integers": np.ones((1, DIMENSION), np.int32),
    "text": np.array([["a"] * DIMENSION]),
    "NaN": np.where(np.arange(DIMENSION) == 3, np.nan, GOOD),
    "infinity": np.where(np.arange(DIMENSION) == 3, np.inf, GOOD),
    "zero": np.zeros((1, DIMENSION), np.float32),
    "dimension": np.ones((1, 3), np.float32),
    "empty": np.zeros((0, DIMENSION), np.float32),
    "three axes": np.ones((1, 1, DIMENSION), np.float32),
    "10^12 rows": forged((10**12, DIMENSION)),
    "10^30 rows": forged((10**30, DIMENSION)),
    "long header": forged((1, DIMENSION), descr="'<f4'" + " " * 20_000),
    "no header": b"\x93NUMPY",
    "nothing": b"",
    "no array": b"<html>",
}
DOORS = {
    "decode": "decode {file} --model pocket --steps 1 -o {folder}/a.png",
    "search": "search {library} {file}",
    "import": "import {file} --library {folder}/new.lib --model pocket --force",
}
NUMPYS = ("pickle", "max_header_size", "reshape", "ast.", "trust", "magic", "Unable to allocate")


def write(file, content):
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_that_cannot_be_used_is_one_sentence(kind, door, emoji, tmp_path):
    write(tmp_path / "a.npy", ARRAYS[kind])
    names = {"file": tmp_path / "a.npy", "folder": tmp_path, "library": emoji}
    result = CliRunner().invoke(unclip, [w.format(**names) for w in DOORS[door].split()])
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if line.startswith("unclip: ")]
    assert len(lines) == 1 and "a.npy" in lines[0]
    assert not any(word in lines[0] for word in NUMPYS if word != "pickle"), lines[0]
    assert "never unpickled" in lines[0] or "pickle" not in lines[0]
    assert not list(tmp_path.glob("a.png"))


@pytest.mark.parametrize("shape", [(DIMENSION,), (1, DIMENSION)])
def test_a_vector_in_a_file_is_a_query(emoji, shape, tmp_path):
    library = Library.open(emoji)
    write(tmp_path / "a.npy", library.points([3]).vectors.reshape(shape))
    result = CliRunner().invoke(unclip, ["search", str(emoji), str(tmp_path / "a.npy"), "-k", "1"])
    assert result.exit_code == 0 and library.rows["item"][3] in result.output


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", forged((10**12, 2)), b"<html>"])
def test_noise_that_cannot_be_read_is_one_sentence(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    words = ["decode", "--noise", str(tmp_path / "a.npz"), "-o", str(tmp_path / "a.png")]
    result = CliRunner().invoke(unclip, words)
    assert result.exit_code == 2 and "holds no noise that can be used" in result.stderr
    assert "pickle" not in result.stderr
