"""The evaluation of pocket: text diffs, words and the card by hand, all stages on the sample."""

import csv
import json
import subprocess
import sys
from pathlib import Path as FilePath

import numpy as np
import pytest
from PIL import Image

from explorer.points import Points, Space
from explorer.settings import Settings
from pocket import beyond, card, cost, evaluate, textdiffs
from pocket.data import STYLES, Glyph, Images
from pocket.sample import GROUPS, STORIES

ROOT = FilePath(__file__).parent.parent
PLANE = Space("plane", 2, "0f")


def glyph(name, *, group=1, keywords=()):
    return Glyph(name, name, keywords, name, 0, group)


def names(glyphs, kind):
    """Unordered pairs; both orders must be there."""
    found = textdiffs.pairs(glyphs, textdiffs.KINDS[kind])
    assert {(b, a) for a, b in found} == set(found)
    return {frozenset(pair) for pair in found}


# Text diffs


def test_pairs_differ_in_one_skin_tone():
    couple = "kiss: man, man"
    people = [
        *("wave", "wave: dark skin tone", "wave: light skin tone", "wave off: light skin tone"),
        *("man: beard", "man: dark skin tone, beard", "man: dark skin tone"),
        *(couple, f"{couple}, dark skin tone", f"{couple}, dark skin tone, light skin tone"),
        f"{couple}, dark skin tone, medium skin tone",
        f"{couple}, light skin tone, medium skin tone",
    ]
    assert names(list(map(glyph, people)), "skin tone") == {
        frozenset(("wave", "wave: dark skin tone")),
        frozenset(("wave", "wave: light skin tone")),
        frozenset(("wave: dark skin tone", "wave: light skin tone")),
        frozenset(("man: beard", "man: dark skin tone, beard")),
        frozenset((couple, f"{couple}, dark skin tone")),
        frozenset(f"{couple}, dark skin tone, {tone} skin tone" for tone in ("light", "medium")),
        frozenset(f"{couple}, {tone} skin tone, medium skin tone" for tone in ("light", "dark")),
    }


def test_pairs_differ_in_one_word_for_a_sex():
    people = ["man cook", "woman cook", "cook", "boy", "man", "kiss: man, man", "kiss: woman, man"]
    assert names(list(map(glyph, people)), "gender") == {
        frozenset(("man cook", "woman cook")),
        frozenset(("man cook", "cook")),
        frozenset(("woman cook", "cook")),
        frozenset(("kiss: man, man", "kiss: woman, man")),
    }


def test_pairs_of_animals_and_of_expressions_differ_in_one_word():
    known = [
        *(glyph(name, group=3, keywords=("animal",)) for name in ("cat", "dog", "cat face")),
        *(glyph(name, group=3, keywords=("animal",)) for name in ("dog face", "black cat")),
        *(glyph(name, group=0) for name in ("hot face", "cold face", "cold cat", "red heart")),
        *(glyph("fern", group=3), glyph("blue heart", group=0)),
    ]
    assert names(known, "animal") == {
        frozenset(("cat", "dog")),
        frozenset(("cat face", "dog face")),
    }
    assert names(known, "expression") == {
        frozenset(("hot face", "cold face")),
        frozenset(("cold face", "cold cat")),
    }


def test_trials_stay_in_a_style_except_for_changes_of_style():
    cat, dog = (glyph(name, group=3, keywords=("animal",)) for name in ("cat", "dog"))
    images = Images(np.zeros((3, 1, 1, 3), np.uint8), [cat, dog, cat], ["3d", "3d", "flat"])
    made = textdiffs.trials(images)
    assert sorted(made["animal"].tolist()) == [[0, 1], [1, 0]]
    assert sorted(made["style"].tolist()) == [[0, 2], [2, 0]]
    assert not len(made["gender"])


def test_a_text_diff_hits_what_lies_where_the_words_point(monkeypatch):
    monkeypatch.setattr(textdiffs, "HIT", 1)
    angles = np.radians([0, 50, -40, 20])  # a, b, a bystander, and one of another style
    points = Points(np.stack([np.cos(angles), np.sin(angles)], 1), PLANE, "image")
    # the words of a lie at -45° and those of b at 45°: the text diff points to 90°
    words = Points(np.array([[1, -1], [1, 1], [1, 0], [1, 0]]), PLANE, "text")
    styles, rows = ["3d", "3d", "3d", "flat"], np.array([[0, 1]])

    def hit(turn):
        return textdiffs.hits(points, words, styles, rows, turn).tolist()

    assert hit(0) == [False]  # b is 50° away, the bystander 40°
    assert hit(0.1) == [True]  # at 9°: 41° and 49°; a itself and the other style do not count


def test_the_strict_figure_counts_pairs_whose_wanted_image_is_held_out():
    hit, still = np.array([True, True, False]), np.array([False, True, False])
    rows, held_out = np.array([[0, 1], [1, 0], [2, 1]]), np.array([False, True, True])
    summary = textdiffs.summary(hit, still, rows, held_out)
    assert (summary["pairs"], summary["hit"]) == (3, pytest.approx(2 / 3))
    assert (summary["held_out_pairs"], summary["held_out_hit"]) == (2, 0.5)
    assert summary["unturned_hit"] == 0


# Words beyond the captions


def test_a_word_is_missed_if_no_fitting_image_is_among_the_first(monkeypatch):
    monkeypatch.setattr(beyond, "HIT", 2)
    scores = np.array([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1], [0.1, 0.2, 0.3]])
    right = [("dog",), ("owl",), ("owl", "cat")]
    assert beyond.missed(scores, ["cat", "dog", "owl"], right) == [1]


def test_words_beyond_the_captions_stand_in_no_caption(rows_of_sample):
    known = {
        word.strip(",:").lower()
        for row in rows_of_sample
        for word in f"{row['name']} {row['keywords']}".split()
    }
    beyonds = {*beyond.WORDS["synonyms"], *beyond.WORDS["plurals"], *beyond.WORDS["typos"]}
    assert beyonds & known <= {"feline", "automobile", "vehicle"}


def test_any_text_has_a_point_and_a_image(pocket):
    texts = ["", "zxqv", "ü", "🦊", "cat " * 100]
    assert np.isfinite(pocket.encoder.encode_text(texts).norms).all()
    assert len(list(pocket.decoder.decode(pocket.prior.sample(texts), Settings(steps=1)))) == len(
        texts
    )


# The card


def test_an_aim_is_met_or_missed_by_some_amount():
    score, seconds = card.Aim("score", "s", 0.8), card.Aim("seconds", "t", 6, at_most=True)
    assert [score.verdict(value) for value in (0.8, 0.75)] == ["met", "missed by 0.05"]
    assert [seconds.verdict(value) for value in (6, 7.5)] == ["met", "missed by 1.5"]
    assert seconds.verdict(None) == "missed by all"


def test_the_card_keeps_what_people_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "section", lambda result: result["text"])
    file = tmp_path / "README.md"
    file.write_text(f"# Pocket\n\n{card.BEGIN}\nold\n{card.END}\n\n## Limits\n")
    card.write(file, {"text": r"new \1"})
    assert file.read_text() == f"# Pocket\n\n{card.BEGIN}\n\nnew \\1\n\n{card.END}\n\n## Limits\n"


def test_a_card_without_marks_gets_a_section(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "section", lambda result: "new")
    file = tmp_path / "README.md"
    for before in ("", "# Mine\n"):
        file.write_text(before)
        card.write(file, {})
        card.write(file, {})
        assert file.read_text().startswith(before or "## Measured")
        assert file.read_text().count("new") == 1


# All together


@pytest.fixture(scope="module")
def rows_of_sample(sample):
    with (sample / "captions.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def images(sample, rows_of_sample):
    """The sample's stories: some fifty glyphs in four styles."""
    group = {name: number for number, name in GROUPS.items()}
    rows = [row for row in rows_of_sample if row["name"] in STORIES]
    glyphs = []
    for row in rows:
        code = row["file"].split("/")[1].removesuffix(".png").upper()
        keywords = tuple(row["keywords"].split(", "))
        glyphs.append(Glyph(code, row["name"], keywords, code, 0, group[row["group"]]))
    pixels = np.stack([np.asarray(Image.open(sample / row["file"])) for row in rows])
    return Images(pixels, glyphs, [row["style"] for row in rows])


@pytest.fixture(scope="module")
def result(pocket, images):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "STEPS", (2, 4))
        patch.setattr(evaluate, "STEPS_IMAGES", 1)
        patch.setattr(evaluate, "INVERTED_IMAGES", 1)
        patch.setattr(evaluate, "INVERSION_STEPS_FACTOR", 1)
        patch.setattr(cost, "TIMES", {1: 1, 12: 1})
        return evaluate.measure(evaluate.Evaluation(pocket, images, count=2, seed=0))


def test_all_stages_fill_the_card(result):
    result = result | {"load_seconds": 1.5, "megabytes": 30.0, "minutes": 9.0}
    text = card.section(json.loads(json.dumps(result)))
    for aim in card.AIMS:
        assert f"| {aim.measure} |" in text
    assert "| nan |" not in text


def test_pocket_does_well_on_the_sample(result):
    assert result["images"] == len(STYLES) * len(STORIES)
    assert result["text_to_image_recall_at_10"] > 0.9
    assert result["round_trip"] > 0.8
    assert result["decode_finds_its_source_at_10"] == 1
    assert result["ways"]["image point"]["round_trip"] > result["ways"]["no point"]["round_trip"]
    assert result["prior_better_by"] == pytest.approx(
        result["ways"]["prior"]["round_trip"]
        - max(result["ways"][way]["round_trip"] for way in ("no point", "text point"))
    )
    assert result["text_diffs"]["skin tone"]["hit"] > 0.5


@pytest.mark.slow
def test_pocket_loads_in_a_process_of_its_own():
    figures = cost.loading("pocket", evaluate.FOLDER)
    assert 0 < figures["load_seconds"] < 60
    assert figures["megabytes"] < 40


@pytest.mark.parametrize("name", ["train", "evaluate", "sample"])
def test_pocket_is_made_and_measured_by_modules(name):
    command = [sys.executable, "-m", f"pocket.{name}", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert f"usage: python -m pocket.{name} " in shown
    assert f"`python -m pocket.{name}`" in " ".join(shown.split())
