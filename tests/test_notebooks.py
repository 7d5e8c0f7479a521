"""The notebooks run from top to bottom, and each .ipynb is its .py without outputs."""

import re
import sys
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
sys.path.insert(0, str(FOLDER))

import pair  # noqa: E402

SOURCES = pair.sources()
each = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def test_there_are_eight():
    assert [source.stem[:2] for source in SOURCES] == [f"{i:02}" for i in range(1, 9)]


@each
def test_a_notebook_is_its_source_without_outputs(source):
    kept = jupytext.read(source.with_suffix(".ipynb"))
    assert kept == pair.notebook(source)
    assert not any(cell.get("outputs") for cell in kept.cells)


@each
def test_a_notebook_opens_with_its_question_and_ends_with_what_was_seen(source):
    cells = pair.notebook(source).cells
    assert re.match(r"# .*\?\n", cells[0].source)
    assert cells[-1].source.startswith("**What was seen.**")


@each
def test_a_notebook_runs(source, tmp_path):
    made = pair.run(source, tmp_path)
    shown = [output for cell in made.cells for output in cell.get("outputs", [])]
    images = [out for out in shown if "image/png" in str(out) or "<img" in str(out)]
    assert images, "it shows nothing"
