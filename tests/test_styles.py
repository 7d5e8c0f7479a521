"""Further styles and disguises: names are matched rightly, captions stay true, OpenMoji is out."""

import numpy as np
import pytest
import torch

from explorer.training.loop import Run
from pocket import batches, captions, disguise, longer, names, styles
from pocket import train as pocket
from pocket.data import Glyph, Images
from pocket.disguise import Rules

CAT = Glyph("1F431", "cat face", ("cat",), "1F431", 0, 3)
WHOLE_CAT = Glyph("1F408", "cat", ("pet",), "1F408", 0, 3)
LEFT = Glyph("1F448", "backhand index pointing left", ("hand",), "1F448", 0, 1)
HEART = Glyph("1F499", "blue heart", ("love",), "1F499", 0, 0)
FRANCE = Glyph("1F1EB-1F1F7", "flag: France", ("FR",), "1F1EB-1F1F7", 0, 9)
DARK = Glyph("1F44B-1F3FF", "waving hand: dark skin tone", ("hand",), "1F44B", 5, 1)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    pixels = torch.ones(40, 3, 64, 64)
    pixels[:, :, 16:48, 16:48] = torch.from_numpy(rng.uniform(-1, 1, (40, 3, 1, 1))).float()
    return pixels


def test_names_are_matched_by_cldr_then_unicode_then_shortcode():
    known = [CAT, WHOLE_CAT, FRANCE, Glyph("1F3AF", "bullseye", (), "1F3AF", 0, 5)]
    names = ["cat", "flag-for-france", "directhit", "cat-face-2", "nothing"]
    found = styles.match(names, known, {"1f431": ["cat"]})
    assert {name: glyph.name for name, glyph in found.items()} == {
        "cat": "cat",
        "flag-for-france": "flag: France",
        "directhit": "bullseye",
        "cat-face-2": "cat face",
    }


def test_a_glyph_has_one_drawing_of_a_style():
    assert list(styles.match(["cat-face-1", "cat-face-2", "catface"], [CAT], {})) == ["cat-face-1"]


def test_openmoji_is_no_style_to_learn_from():
    packages = " ".join(source.package for source in styles.STYLES.values())
    assert "openmoji" not in " ".join([packages, *styles.STYLES, *captions.SPOKEN])


def test_every_style_can_be_said():
    assert {*styles.STYLES} <= {*captions.SPOKEN}


def test_what_mirroring_makes_false_is_not_mirrored_and_named_colours_are_known():
    rules = Rules.of([CAT, LEFT, HEART, FRANCE, DARK])
    assert rules.mirrors.tolist() == [True, False, True, False, True]
    assert rules.coloured.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("change", ["colour", "redraw"])
def test_white_stays_white_and_values_stay_in_range(images, change):
    rules = Rules.of([CAT, HEART] * 20)
    made = getattr(disguise, change)(images, rules, np.random.default_rng(1))
    assert made.min() >= -1
    assert made.max() <= 1
    torch.testing.assert_close(made[:, :, :8, :8], torch.ones(40, 3, 8, 8))


def test_a_named_colour_keeps_its_hue_and_is_never_grey():
    blue = torch.tensor([-1.0, -0.4, 0.9])[None, :, None, None].expand(200, 3, 8, 8)
    made = disguise.colour(blue, Rules.of([HEART] * 200), np.random.default_rng(2))
    red, green, high = made[:, :, 0, 0].T
    assert (high > green + 0.2).all()
    assert (green >= red - 1e-5).all()


def test_moved_drawings_stay_in_sight(images):
    made = disguise.move(images, np.random.default_rng(3))
    assert made.shape == images.shape
    assert made.max() <= 1
    assert ((1 - made).flatten(1).sum(1) > 0.2 * (1 - images).flatten(1).sum(1)).all()


def test_a_disguised_drawing_is_not_called_by_its_style():
    rng = np.random.default_rng(4)
    for _ in range(200):
        assert not any("style" in f for f in batches.truly(CAT, "line", "", rng).facts)


def test_a_batch_holds_no_held_out_image_and_every_caption_fits_its_own(monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 32)
    monkeypatch.setattr(batches, "TOGETHER", 4)
    known = [Glyph(f"{i:X}", f"thing {i}", ("thing",), f"{i:X}", 0, 4) for i in range(100)]
    pixels = np.random.default_rng(0).integers(0, 255, (200, 64, 64, 3), dtype=np.uint8)
    images = Images(pixels, known * 2, ["line"] * 100 + ["blob"] * 100)
    drawing = batches.Batches(images, {glyph.hexcode: i for i, glyph in enumerate(known)})
    assert not images.held_out[[row for rows in drawing.drawn.values() for row in rows]].any()
    batch = drawing.draw(np.random.default_rng(5), "cpu")
    assert batch.pixels.shape == batch.plain.shape == (32, 3, 64, 64)
    assert len({*batch.rows.tolist()}) == len(batch.texts) == 32
    assert not images.held_out[batch.rows].any()
    assert (batch.fits.diagonal() == 1).all()


def test_a_text_diff_leads_from_an_image_to_another_glyph_of_its_style():
    styles, things = ["line", "line", "line", "blob", "blob"], ["a", "b", "a", "a", "b"]
    nothing, hidden = torch.zeros(5, 1), np.array([False, False, False, False, True])
    batch = batches.Batch(np.arange(5), nothing, nothing, things, nothing, styles, things, hidden)
    before, after, rivals = batch.edits(np.random.default_rng(0))
    assert before.tolist() == [1] and after[0] in (0, 2)
    assert rivals.tolist() == [[True, False, True, False, False]]


def test_names_are_read_again_in_turn_and_the_right_one_is_sought_among_all():
    """Orthogonal names at scale 2: log(e² + k - 1) - 2 for k names."""
    known = [Glyph(f"{i:X}", f"thing {i}", (), f"{i:X}", 0, 4) for i in range(150)]
    model, tokenizer = pocket.load_clip(pocket.FOLDER, "cpu")
    all_names = names.Names(model, tokenizer, known + known[:3], "cpu")
    right = all_names.points.clone()
    assert all_names.of_row[[0, 149, 150, 152]].tolist() == [0, 149, 0, 2]
    all_names.points.zero_()
    for step in range(4, 7):
        all_names.refresh(step)
    torch.testing.assert_close(all_names.points, right, atol=2e-2, rtol=0)
    all_names.points = torch.eye(150)
    loss = all_names.loss(torch.eye(150)[[1, 2]], np.array([1, 152]), torch.tensor(2.0))
    assert loss.item() == pytest.approx(np.log(np.exp(2) + 149) - 2, abs=1e-5)


def test_a_step_teaches_both_towers_and_the_head():
    model, tokenizer = pocket.load_clip(pocket.FOLDER, "cpu")
    model.train().requires_grad_(True)
    head = longer.drawing_head()
    known = [Glyph(f"{i:X}", f"thing {i}", (), f"{i:X}", 0, 4) for i in range(8)]
    all_names = names.Names(model, tokenizer, known, "cpu")
    learner = longer.Learner(model, tokenizer, head, all_names, "cpu")
    pixels = torch.rand(8, 3, 64, 64) * 2 - 1
    texts = [glyph.name for glyph in known]
    seen = np.zeros(8, dtype=bool)
    batch = batches.Batch(
        np.arange(8), pixels, pixels, texts, torch.eye(8), ["line"] * 8, texts, seen
    )
    learner.loss(batch, np.random.default_rng(0), warm=False).backward()
    for part in (model.visual.conv1.weight, model.text_projection, head[0].weight):
        assert part.grad.abs().sum() > 0
    model.zero_grad()
    learner.loss(batch, np.random.default_rng(0), warm=True).backward()
    assert model.visual.conv1.weight.grad.abs().sum() > 0


def test_pooling_with_one_query_is_open_clips_own():
    from open_clip.modified_resnet import AttentionPool2d

    torch.manual_seed(0)
    theirs, grid = AttentionPool2d(2, 16, 4, 8), torch.randn(3, 16, 2, 2)
    torch.testing.assert_close(longer.pool(theirs, grid), theirs(grid))


def test_an_endless_run_keeps_the_checkpoint_before_and_one_of_every_half_hour(tmp_path):
    module = torch.nn.Linear(2, 1)
    run = longer.Endless(tmp_path, "longer", {"m": module}, minutes=np.inf, rate=1, average=0.9)
    run.update(module(torch.ones(1, 2)).sum())
    for elapsed in (10, 20, 1900):
        run.elapsed = elapsed
        run.save()
    files = {file.name for file in tmp_path.glob("*.safetensors")}
    assert files == {f"longer{end}.safetensors" for end in ("", ".before", "-000", "-001")}
    again = Run(tmp_path, "longer", {"m": module}, minutes=1, rate=1, average=0.9)
    assert again.elapsed == 1900


def test_the_rate_rises_then_stays_then_falls_with_the_root(tmp_path):
    run = longer.Endless(tmp_path, "longer", {"m": torch.nn.Linear(2, 1)}, minutes=np.inf, rate=1)
    factors = []
    for run.step in (0, longer.WARM - 1, longer.LEVEL - 1, 4 * longer.LEVEL - 1):
        factors.append(run.factor())
    assert factors == pytest.approx([1 / longer.WARM, 1, 1, 0.5])


def test_before_an_end_in_minutes_the_rate_falls_to_nothing(tmp_path):
    ends = 3 * longer.COOL
    run = longer.Endless(tmp_path, "longer", {"m": torch.nn.Linear(2, 1)}, minutes=ends, rate=1)
    run.step = longer.LEVEL - 1
    factors = []
    for left in (ends, longer.COOL, longer.COOL / 2, 0, -1):
        run.elapsed = 60 * (ends - left)
        factors.append(run.factor())
    assert factors == pytest.approx([1, 1, 0.5, 0, 0])
