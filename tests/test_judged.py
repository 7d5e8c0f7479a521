"""What the judge measures of pocket: edits are the product's own, shares stand beside chance."""

import json

import numpy as np
import pytest
from PIL import Image

from explorer import edits
from pocket import card, defaults, evaluate, judged, judged_edits, painted, verdicts
from pocket.data import Glyph, Images
from pocket.evaluation import Evaluation
from pocket.judge import Gallery
from pocket.judged import Judging
from pocket.judged_edits import TextDiffs

NAMES = {"cat face": 3, "dog face": 3, "red heart": 8, "blue heart": 8}
CODES = {"cat face": "1F431", "dog face": "1F436", "red heart": "2764", "blue heart": "1F499"}


class Coarse:
    """A judge without weights, which sees an image at 8 × 8 pixels, and as its mean colour."""

    def features(self, pixels):
        cells = pixels.reshape(len(pixels), 8, 8, 8, 8, 3).mean((2, 4))
        return pixels.reshape(len(pixels), -1, 3).mean(1), cells.reshape(len(pixels), -1)


@pytest.fixture(scope="module")
def judging(pocket, sample):
    glyphs, styles, pixels = [], [], []
    for name, group in NAMES.items():
        for style in ("flat", "noto", "twemoji"):
            code = CODES[name]
            glyphs.append(Glyph(code, name, ("animal",) if group == 3 else (), code, 0, group))
            styles.append(style)
            file = sample / style / f"{code.lower()}.png"
            pixels.append(np.asarray(Image.open(file).convert("RGB")))
    images = Images(np.stack(pixels), glyphs, styles)
    return Judging(Evaluation(pocket, images, 2, 0), Gallery.of(Coarse(), images))


def test_a_share_stands_beside_what_others_score_by_chance():
    near = np.array([["a", "b"], ["b", "a"], ["c", "x"]])
    found = judged.share(near, np.array(["a", "a", "c"]))
    assert (found["first"], found["five"]) == (2 / 3, 1)
    assert found["chance"] == pytest.approx(2 / 6)  # of six pairs, the first two rows swapped


def test_sharpness_falls_with_blur_and_noise_earns_no_more_than_all(judging):
    real = judging.images.pixels
    noisy = np.random.default_rng(0).integers(0, 255, real.shape, dtype=np.uint8)
    parts = judged.sharp(real, noisy)
    blurs = [parts[f"blur of {radius} pixels"] for radius in (0.5, 1, 2, 8)]
    assert parts["real drawings"] == 1 == parts["decodes"]
    assert sorted(blurs, reverse=True) == blurs and blurs[0] < 1 and blurs[-1] < 0.05
    assert parts["blur of 2 pixels and grain"] < 0.6


@pytest.mark.parametrize("through_prior", [False, True])
def test_frames_are_those_of_the_product(judging, pocket, through_prior):
    pair = np.array([[1, 4]])  # cat face → dog face, noto
    batch = TextDiffs(judging, {"animal": pair}, through_prior, frames=2)
    own = edits.text_diff(
        pocket,
        judging.drawings(pair[0])[0],
        before="cat face",
        after="dog face",
        through_prior=through_prior,
        frames=2,
    )
    assert batch.points.vectors == pytest.approx(own.points.vectors, abs=1e-3)
    apart = np.abs(batch.made[0].astype(int) - np.stack([np.asarray(f) for f in own]).astype(int))
    assert apart.mean() < 1


def test_a_cross_fade_is_steady_and_arrives(judging):
    pairs = np.array([[1, 4], [0, 3]])
    seen = judged_edits.Fades(judging, {"animal": pairs}).steady()
    assert seen["steady"] == 1 and seen["gone"] == pytest.approx(1) and seen["nearer"] == 1


def test_drawings_that_training_saw_are_none_of_those_held_out(judging, monkeypatch):
    monkeypatch.setattr(Images, "held_out", np.arange(12) % 2 == 0)
    evaluation = Evaluation(judging.model, judging.images, 12, 0)
    fresh = Judging(evaluation, judging.gallery)
    assert len(fresh.seen) == len(fresh.rows) > 1
    assert (fresh.seen % 2 == 1).all() and (fresh.rows % 2 == 0).all()


def test_settings_are_chosen_by_held_out_drawings_that_the_card_does_not_judge(
    judging, monkeypatch
):
    monkeypatch.setattr(Images, "held_out", np.arange(12) % 2 == 0)
    fresh = Judging(Evaluation(judging.model, judging.images, 6, 0), judging.gallery)
    chosen = defaults.others(fresh, 12, 0)
    assert sorted([*chosen, *fresh.rows]) == [0, 2, 4, 6, 8, 10]
    monkeypatch.setattr(defaults, "SOLVERS", ("unipc",))
    monkeypatch.setattr(defaults, "GUIDANCES", (2,))
    monkeypatch.setattr(defaults, "FEWER", (3,))
    row, fewer = defaults.measure(fresh, chosen)
    decoder = judging.model.decoder
    assert fewer[:3] == [decoder.solver, f"{decoder.guidance:g}", "3"]
    assert row[:3] == ["unipc", "2", "8"] and all(0 <= float(figure) <= 1 for figure in row[3:])


def test_half_of_the_targets_were_held_out_and_none_comes_twice(judging):
    for pairs in judged_edits.draw(judging.images, 0, 4).values():
        new = judging.images.held_out[pairs[:, 1]]
        assert len(set(pairs[:, 1].tolist())) == len(pairs) <= 4
        assert max(new.sum(), (~new).sum()) <= 2


def test_what_is_pasted_is_shown_and_what_nobody_painted_is_not(judging):
    case = painted.Case("red heart", "flat", painted.BODY, "blue heart", "blue heart")
    cases = painted.Painted(judging, [case])
    assert cases.shown(cases.pasted()) == [True]
    assert cases.shown(cases.before) == [False]


def test_a_part_that_is_cut_out_keeps_its_shape():
    image = Image.new("RGB", (64, 64), "red")
    part = np.asarray(painted.cut(image, (0, 0, 32, 16)))
    assert (part[16:48] == (255, 0, 0)).all() and (part[:16] == 255).all()


@pytest.fixture(scope="module")
def result(judging, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judged, "SEEDS", 2)
        patch.setattr(judged, "STEPS", (2,))
        patch.setattr(evaluate, "VALIDATED", 4)
        patch.setattr(painted, "CASES", painted.CASES[8:9])
        patch.setattr(painted, "HATS", ("red heart",))
        patch.setattr(Images, "held_out", np.arange(12) % 2 == 0)
        return evaluate.judge(judging.evaluation, judging.gallery, folder, folder), folder


def test_every_verdict_has_a_row_and_every_sheet_is_there(result):
    figures, folder = result
    text = verdicts.section(json.loads(json.dumps(figures)))
    for verdict in verdicts.VERDICTS:
        assert f"| {verdict.measure} |" in text
    assert "nan" not in text
    assert len(list(folder.glob("pocket-*.webp"))) == 4


def test_both_sections_of_a_card_stand_beside_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "section", lambda result: "own")
    monkeypatch.setattr(verdicts, "section", lambda result: result["judged"])
    file = tmp_path / "README.md"
    for judged_text in ("old", "new"):
        card.write(file, {})
        verdicts.write(file, {"judged": judged_text})
    text = file.read_text()
    assert text.count("own") == text.count("new") == 1 and "old" not in text
