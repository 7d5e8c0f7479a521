"""JSON that is nested 10,000 levels deep: one sentence wherever it is read, and exit code 2."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hostile_folders import refused, run
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import explorer
from explorer.library.sources.tables import read_records

POCKET = Path(explorer.__file__).parent / "weights" / "pocket"
DOG = Path(explorer.__file__).parent / "sample" / "images" / "flat" / "1f436.png"
DEEP = ["[" * 10_000, '{"a":' * 10_000, "[" * 10_000 + "]" * 10_000]


@pytest.fixture(params=DEEP, ids=["list", "object", "closed list"])
def deep(request):
    return request.param


def test_in_a_recipe(deep, tmp_path):
    text = PngInfo()
    text.add_text("unclip", deep)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=text)
    out = ("-o", tmp_path / "b.png")
    assert refused(run("replay", tmp_path / "a.png", *out), "carries no recipe")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.gif", comment=deep.encode())
    assert refused(run("replay", tmp_path / "a.gif", *out), "carries no recipe")


def test_in_inverted_noise(deep, tmp_path):
    np.savez(tmp_path / "a.npz", recipe=deep, noise=np.zeros((1, 48, 16, 16)))
    words = ("decode", "--noise", tmp_path / "a.npz", "-o", tmp_path / "b.png")
    assert refused(run(*words), "holds no noise that can be used")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_in_a_table(name, deep, tmp_path):
    (tmp_path / name).write_text(deep)
    words = ("index", tmp_path / name, "--library", tmp_path / "a.lib", "--model", "pocket")
    assert refused(run(*words), name)


@pytest.mark.parametrize("name", ["decoder.json", "prior.json"])
def test_in_the_manifest_of_a_decoder(name, deep, tmp_path):
    (tmp_path / name).write_text(deep)
    option = f"--{name.partition('.')[0]}"
    words = ("decode", DOG, option, tmp_path, "-o", tmp_path / "b.png")
    assert refused(run(*words), f"{name} cannot be read")


def test_in_the_manifest_of_a_library(deep, emoji, tmp_path):
    kept = shutil.copytree(emoji, tmp_path / "a.lib")
    for file in (kept / "manifests").iterdir():
        file.write_text(deep)
    assert refused(run("search", kept, "a dog"), "a.lib")


def test_the_reader_of_tables_says_why(tmp_path):
    (tmp_path / "a.json").write_text(DEEP[0])
    with pytest.raises(explorer.errors.QueryError, match="nested too deeply"):
        read_records(str(tmp_path / "a.json").encode(), [])
