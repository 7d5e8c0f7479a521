"""The recipe of pocket: what is held out, what captions fit, runs that resume, a few real steps."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from explorer.errors import TrainingError
from explorer.models import load
from explorer.models.shared.patch_decoder import load_normalizer
from explorer.settings import Settings
from explorer.training import checkpoints, decoder_network
from explorer.training.examples import Examples
from explorer.training.loop import Plan, Run
from explorer.training.prior_network import Reader
from pocket import clip, data, train
from pocket.captions import (
    Caption,
    facts,
    holders,
    positives,
    sample,
    write_vocabulary,
)
from pocket.data import Glyph, Images

CAT = Glyph("1F431", "cat face", ("cat", "pet"), "1F431", 0, 3)
DOG = Glyph("1F436", "dog face", ("dog", "pet"), "1F436", 0, 3)
HAND = Glyph("1F44B", "waving hand", ("hand", "wave"), "1F44B", 0, 1)
DARK = Glyph("1F44B-1F3FF", "waving hand: dark skin tone", ("hand", "wave"), "1F44B", 5, 1)


@pytest.fixture(scope="module")
def images():
    """Many glyphs of one colour each, in two styles."""
    rng = np.random.default_rng(0)
    known = [Glyph(f"{i:X}", f"thing {i}", ("thing",), f"{i:X}", i % 3, 0) for i in range(300)]
    colours = rng.integers(0, 255, (300, 1, 1, 3), dtype=np.uint8)
    pixels = np.concatenate([np.broadcast_to(colours, (300, 64, 64, 3))] * 2)
    return Images(pixels, known * 2, ["noto"] * 300 + ["flat"] * 300)


def test_one_pair_in_twelve_is_held_out_by_the_hash_of_its_name():
    assert data.held_out("1F431", "3d") == (
        int(hashlib.sha256(b"1F431/3d").hexdigest(), 16) % 12 == 0
    )
    share = np.mean([data.held_out(f"{i:X}", style) for i in range(3000) for style in data.STYLES])
    assert 1 / 12 - 0.01 < share < 1 / 12 + 0.01


def test_held_out_images_are_never_drawn(images):
    weights = clip.row_weights(images)
    assert images.held_out.any()
    assert not weights[images.held_out].any()
    assert (weights[~images.held_out] > 0).all()
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("spelt", "same"), [("1F468-200D-1F33E", "1f468-200d-1f33e"), ("0023-FE0F-20E3", "23-20e3")]
)
def test_packages_spell_one_code_point_sequence_alike(spelt, same):
    assert data.key(spelt) == data.key(same)


def test_every_sampled_caption_fits_its_own_drawing():
    rng = np.random.default_rng(0)
    for glyph in (CAT, DOG, HAND, DARK):
        for style in data.STYLES:
            for _ in range(60):
                assert sample(glyph, style, rng).facts <= facts(glyph, style)


def test_a_name_fits_every_style_and_a_keyword_every_glyph_that_has_it():
    captions = [
        Caption("cat face", frozenset({f"glyph {CAT.hexcode}"})),
        Caption("cat face, 3d", frozenset({f"glyph {CAT.hexcode}", "style 3d"})),
        Caption("pet", frozenset({"pet"})),
        Caption("hand: dark skin tone", frozenset({"hand", "tone 5"})),
    ]
    holding = holders([CAT, CAT, DOG, DARK, HAND], ["3d", "flat", "3d", "3d", "3d"])
    rows = positives(captions, holding, 5)
    expected = [[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(rows, expected)


def test_the_contrastive_loss_of_a_hand_computed_case():
    """Two images, two captions, logits 2 and 0: log(1 + e⁻²) both ways."""
    image = text = torch.eye(2)
    loss = clip.contrastive_loss(image, text, torch.tensor(2.0), torch.eye(2))
    assert loss.item() == pytest.approx(np.log(1 + np.exp(-2)), abs=1e-6)


def test_two_captions_of_one_image_share_its_probability():
    image = torch.eye(2)[[0, 0]]
    fits = torch.ones(2, 2)
    loss = clip.contrastive_loss(image, image, torch.tensor(3.0), fits)
    assert loss.item() == pytest.approx(np.log(2), abs=1e-6)


def test_a_vocabulary_reads_any_text(images, tmp_path):
    size = write_vocabulary(images, tmp_path / "bpe.txt.gz")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(clip.config(size)))
    _, tokenizer = clip.build(tmp_path)
    assert tokenizer.vocab_size == size
    for text in ("thing 7, noto", "", "Ünïcödé 猫 🐈", "x" * 500):
        tokens = tokenizer([text])
        assert tokens.shape == (1, clip.CONTEXT)
        assert int(tokens.max()) < size
    assert tokenizer.decode(tokenizer.encode("thing 7")).strip() == "thing 7"


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    def run(steps):
        torch.manual_seed(0)
        module = torch.nn.Linear(2, 1)
        some = Run(
            tmp_path, "line", {"line": module}, minutes=9, rate=0.1, average=0.9, steps=steps
        )
        seen = []
        for step in some:
            seen.append(step)
            some.update((module(torch.ones(1, 2)) - 3).square().mean())
        return seen, module.weight.detach().clone(), some

    first, weights, _ = run(3)
    second, later, resumed = run(5)
    assert (first, second) == ([0, 1, 2], [3, 4])
    assert not torch.equal(weights, later)
    assert resumed.progress == 1


def test_a_loss_that_is_not_finite_stops_the_run_before_it_does_harm(tmp_path):
    module = torch.nn.Linear(2, 1)
    some = Run(tmp_path, "line", {"line": module}, minutes=1, rate=0.1, steps=3)
    before = module.weight.detach().clone()
    with pytest.raises(TrainingError, match="step 0.*--rate"):
        some.update(module(torch.full((1, 2), torch.nan)).sum())
    assert torch.equal(module.weight, before)
    with torch.no_grad():
        module.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match="not all weights are finite"):
        some.save()
    assert not some.file.exists()


def test_averaged_weights_are_there_within_and_the_last_ones_after(tmp_path):
    module = torch.nn.Linear(2, 1)
    some = Run(tmp_path, "line", {"line": module}, minutes=1, rate=0.1, average=0.9, steps=3)
    for _ in some:
        some.update((module(torch.ones(1, 2)) - 3).square().mean())
    last = module.weight.detach().clone()
    with some.averaged():
        assert not torch.equal(module.weight, last)
    assert torch.equal(module.weight, last)


def test_whatever_was_written_last_the_manifest_has_all_hashes(tmp_path):
    """A prior that ended after the decoder was not in it, and the folder could not be loaded."""
    (tmp_path / "unet.safetensors").write_bytes(b"unet")
    checkpoints.write_manifest(tmp_path / "made.json", {"name": "made"})
    (tmp_path / "prior").mkdir()
    (tmp_path / "prior" / "prior.safetensors").write_bytes(b"prior")
    checkpoints.renew_hashes(tmp_path / "made.json")
    told = json.loads((tmp_path / "made.json").read_text())
    right = {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("prior/prior.safetensors", "unet.safetensors")
    }
    assert told == {"name": "made", "sha256": right}


@pytest.mark.parametrize("kind", ["plain", "painter"])
def test_the_draft_learns_what_to_give_where_there_is_no_point(kind, images, tmp_path):
    """The UNet is told it, for guidance; untaught it grew to hundreds of times an image's range."""
    points = np.random.default_rng(0).normal(3, 5, (len(images), 16)).astype(np.float32)
    examples = Examples(images.pixels, points, clip.row_weights(images))
    plan = Plan(1, steps=8, batch=64)
    networks = decoder_network.Networks.fresh(examples, plan, kind=kind)
    read = []
    networks.draft.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].detach()))
    for run in decoder_network.train(examples, networks, tmp_path, plan):
        if run.name != "draft":
            break
    drafted = torch.cat(read)[: 8 * 64]
    none = networks.normalizer.scale(torch.zeros(1, 16))
    assert 0 < torch.isclose(drafted, none).all(1).float().mean() < 0.1


def test_a_decoder_and_a_prior_come_out_of_a_few_real_steps(images, tmp_path):
    """From images and points to a folder that pocket's own classes can read."""
    points = np.random.default_rng(0).normal(3, 5, (len(images), clip.DIMENSION))
    points = points.astype(np.float32)
    size = write_vocabulary(images, tmp_path / "bpe.txt.gz")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(clip.config(size)))
    model, tokenizer = clip.build(tmp_path)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "open_clip_model.safetensors")
    plan, work = Plan(1, steps=2, batch=4), tmp_path / "work"
    examples = Examples(images.pixels, points, clip.row_weights(images))
    train.train_decoder(examples, tmp_path, work, plan)
    train.train_prior(images, points, Reader(model, tokenizer, "cpu"), tmp_path, work, plan)
    shutil.rmtree(work)
    training = points[~images.held_out]
    train.finish(tmp_path, training)
    made = load("pocket", source=tmp_path, device="cpu")
    assert next(made.decoder.decode(made.prior.sample(["a cat"]), Settings(steps=1))).size == (
        64,
        64,
    )
    normalizer = load_normalizer(tmp_path)
    np.testing.assert_allclose(normalizer.mean[0].numpy(), training.mean(0), rtol=1e-4)
    np.testing.assert_allclose(normalizer.std[0].numpy(), training.std(0), rtol=1e-4)
