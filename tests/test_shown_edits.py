"""Examples: what documents show was chosen, and what was tried is what the product makes."""

import json
import re

import numpy as np
import pytest
from documents import ROOT
from PIL import Image

from explorer import edits
from explorer.samples import EXAMPLES, IMAGES, sample_edits, sample_walks
from pocket import choice
from pocket.data import Glyph, Images
from pocket.evaluation import Evaluation
from pocket.judged import Judging

SHOWN = ("README.md", "docs/index.md", "docs/tutorial.md", "notebooks/02_text_diffs.py")
PAIRS = (  # a command, Python, prose
    r'--from "([^"]+)" --to "([^"]+)"',
    r'before="([^"]+)",\s*after="([^"]+)"',
    r'from "([^"]+)" towards "([^"]+)"',
)


def pairs(text):
    return [pair for pattern in PAIRS for pair in re.findall(pattern, text)]


@pytest.mark.parametrize("document", SHOWN)
def test_text_diffs_in_documents_are_examples_that_the_judge_chose(document):
    chosen = {(example.before, example.after) for example in sample_edits()}
    shown = pairs((ROOT / document).read_text("utf-8"))
    assert shown and set(shown) <= chosen


def test_pairs_are_found_in_commands_python_and_prose():
    text = '--from "a" --to "b" before="c",\n  after="d" rotated from "e" towards "f"'
    assert pairs(text) == [("a", "b"), ("c", "d"), ("e", "f")]


def animals(sample):
    """Two faces in one style."""
    glyphs = [
        Glyph(code, name, ("animal",), code, 0, 3)
        for code, name in (("1F431", "cat face"), ("1F436", "dog face"))
    ]
    files = [sample / "noto" / f"{glyph.hexcode.lower()}.png" for glyph in glyphs]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    return Images(pixels, glyphs, ["noto", "noto"])


@pytest.mark.parametrize("way", choice.WAYS)
def test_what_is_tried_is_what_the_product_makes(pocket, sample, way):
    tried = choice.Choice(Judging(Evaluation(pocket, animals(sample), 0, 0), None))
    assert tried.pairs.tolist() == [[0, 1], [1, 0]]
    trial = choice.Trial(0, 1, *way)
    example = tried.example(trial)
    edit = edits.text_diff(pocket, example.start, frames=2, **example.options)
    right = edit.points.vectors[-1]
    off = np.linalg.norm(tried.vectors([trial])[0] - right)
    assert off < 0.02 * np.linalg.norm(right)


def test_the_examples_that_ship_are_of_the_weights_that_ship(pocket):
    stored = json.loads(EXAMPLES.read_text("utf-8"))
    assert stored["space"] == pocket.space.fingerprint
    assert stored["decoder"] == pocket.decoder.fingerprint


def test_the_tutorial_says_how_many_were_tried_and_how_many_arrived():
    stored = json.loads(EXAMPLES.read_text("utf-8"))
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    (told,) = re.findall(r"of (\d+) edits between names .* the judge named (\d+)", text)
    assert tuple(map(int, told)) == (stored["tried"], stored["arrived"])


def test_examples_name_sample_drawings_and_come_back_as_they_were():
    stored = json.loads(EXAMPLES.read_text("utf-8"))
    assert [example.to_dict() for example in sample_edits()] == stored["edits"]
    files = [file for e in sample_edits() for file in (e.start, e.target)]
    files += [file for walk in sample_walks() for file in walk]
    assert files and all(file.is_file() and IMAGES in file.parents for file in files)
