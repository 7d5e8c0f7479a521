"""Bridges: laws of the map, and `unclip train bridge` from a library to a decoded image."""

import shutil

import numpy as np
import pytest
from app_pages import errors, open_page
from families import WRITERS
from forged_arrays import forge, retell
from hypothesis import given, settings
from hypothesis import strategies as some
from test_models import write_folder
from test_train import done, unclip_

from explorer.app import state
from explorer.bridge import MANIFEST, MIN_PAIRS, WEIGHTS, Bridge
from explorer.decoder.bridged import BridgedDecoder
from explorer.errors import QueryError, SideMismatch, SpaceMismatch, UnknownModel, WeightsMissing
from explorer.library import Library
from explorer.models import load
from explorer.models.trained import bridge_beside
from explorer.points import Points, Space
from explorer.settings import Settings
from explorer.training import bridge as training
from explorer.training.loop import Plan

A, B = Space("a", 12, "0a"), Space("b", 7, "0b")
PAIRS, SHOWN = 400, 40


def cloud(seed=0, count=PAIRS):
    """Points about a mean, as those of a CLIP lie, of lengths that differ."""
    rng = np.random.default_rng(seed)
    return Points(rng.normal(2, 1, (count, 12)) * rng.uniform(5, 9, (count, 1)), A, "image")


def pairs(seed=0, *, bend=0.0, turn=None):
    """Points, and what a fixed map makes of them: linear but for `bend`."""
    a, rng = cloud(seed), np.random.default_rng(99)
    turn = rng.normal(size=(12, 7)) if turn is None else turn
    there = a.unit @ turn + bend * np.sin(6 * a.unit @ rng.normal(size=(12, 7)))
    return a, Points(3 * there, B, "image")


def cosine(bridge, a, b):
    return float((bridge.apply(a).unit * b.unit).sum(1).mean())


def linear_only(a, b, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("explorer.bridge.WIDTHS", (0.0,))
        return Bridge.fit(a, b)


def test_a_linear_map_is_found_and_carries_over_to_points_that_were_not_fitted():
    (a, b), (fresh, right) = pairs(0), pairs(1)
    bridge = Bridge.fit(a, b)
    mapped = bridge.apply(fresh)
    assert cosine(bridge, fresh, right) > 0.999
    assert mapped.space == B and mapped.side == "image" and mapped.labels == fresh.labels
    near = np.abs(np.log(mapped.norms / right.norms))
    assert np.median(near) < 0.05


def test_the_map_bends_only_where_that_helps(monkeypatch):
    (a, b), (fresh, right) = pairs(0, bend=1.0), pairs(1, bend=1.0)
    bent, straight = Bridge.fit(a, b), linear_only(a, b, monkeypatch)
    assert bent.width and cosine(bent, fresh, right) > cosine(straight, fresh, right) + 0.01
    rng = np.random.default_rng(5)
    noise = b.with_vectors(rng.normal(size=b.vectors.shape) + 1)  # nothing to be learnt
    assert cosine(Bridge.fit(a, noise), *[p[:200] for p in (fresh, noise)]) > 0.6


def test_points_that_have_nothing_in_common_are_mapped_to_about_the_mean():
    a, rng = cloud(), np.random.default_rng(7)
    b = Points(rng.normal(3, 1, (PAIRS, 7)), B, "image")
    mapped = Bridge.fit(a, b).apply(cloud(8))
    mean = b.unit.mean(0) / np.linalg.norm(b.unit.mean(0))
    assert (mapped.unit @ mean).min() > 0.95


@settings(max_examples=20)
@given(some.integers(0, 100), some.floats(0.1, 10))
def test_a_row_is_mapped_by_itself_and_a_rotated_target_is_a_rotated_result(seed, scale):
    a, b = pairs(seed % 3, bend=0.5)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(7, 7)))
    bridge = Bridge.fit(a[:64], b[:64])
    fresh = cloud(seed, 5)
    mapped = bridge.apply(fresh)
    np.testing.assert_allclose(bridge.apply(fresh[2]).vectors[0], mapped.vectors[2], rtol=1e-5)
    turned = Bridge.fit(a[:64], b[:64].with_vectors(b[:64].vectors @ turn * scale))
    expected = mapped.vectors @ turn * scale
    np.testing.assert_allclose(turned.apply(fresh).vectors, expected, rtol=2e-3, atol=2e-3 * scale)


def test_what_was_saved_is_read_again(tmp_path):
    bridge = Bridge.fit(*pairs(bend=1.0)).with_figures({"cosine": 0.5}, ("one", "two"))
    for _ in range(2):  # over the one that is there
        bridge.save(tmp_path / "b")
    again = Bridge.load(tmp_path / "b")
    fresh = cloud(3)
    assert (again.apply(fresh).vectors == bridge.apply(fresh).vectors).all()
    assert (again.fingerprint, again.figures, again.models) == (
        *(bridge.fingerprint, {"cosine": 0.5}, ("one", "two")),
    )


def test_what_cannot_be_mapped_is_refused():
    a, b = pairs()
    bridge = Bridge.fit(a, b)
    with pytest.raises(SpaceMismatch, match="begins elsewhere"):
        bridge.apply(b)
    words = Points(a.vectors, A, "text")
    with pytest.raises(SideMismatch, match="text side"):
        bridge.apply(words)
    with pytest.raises(SideMismatch, match="text side"):
        Bridge.fit(words, b)
    for few in ((a[: MIN_PAIRS - 1], b[: MIN_PAIRS - 1]), (a, b[:-1])):
        with pytest.raises(QueryError, match=f"{MIN_PAIRS} images or more"):
            Bridge.fit(*few)


HARM = {
    "cut": lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:999]),
    "gone": lambda f: (f / WEIGHTS).unlink(),
    "no manifest": lambda f: (f / MANIFEST).unlink(),
    "other json": lambda f: (f / MANIFEST).write_text("[1]"),
    "not finite": lambda f: forge(f, "bridge", linear=np.full((13, 8), np.nan, np.float32)),
    "other shape": lambda f: forge(f, "bridge", linear=np.zeros((2, 2), np.float32)),
    "no map": lambda f: forge(f, "bridge", norms=None),
    "no width": lambda f: retell(f, "bridge", width=float("nan")),
    "width that is none": lambda f: retell(f, "bridge", width=[]),
    "a space that is none": lambda f: retell(f, "bridge", target={"dimension": 7}),
    "another space": lambda f: retell(f, "bridge", target=vars(Space("b", 70, ""))),
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bridge")
    Bridge.fit(*pairs()).save(folder)
    return folder


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_or_forged_bridge_is_one_clear_error(harm, saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "harmed")
    assert Bridge.load(folder).target == B
    HARM[harm](folder)
    with pytest.raises(WeightsMissing, match="no bridge that can be used.*unclip train bridge"):
        Bridge.load(folder)


# Decoders over a bridge: tests/test_contract.py holds them to what every decoder must do


def test_a_bridged_decoder_gives_what_the_decoder_gives_for_the_mapped_points(tmp_path):
    """Its options among it: a negative point is one of the space where the bridge begins."""
    model = load("kandinsky-2.2", device="cpu", source=WRITERS["kandinsky-2.2"](tmp_path / "k"))
    rng = np.random.default_rng(0)
    b = Points(rng.normal(size=(64, model.space.dimension)), model.space, "image")
    a = cloud(count=64)
    bridge = Bridge.fit(a, b)
    decoder = BridgedDecoder(model.decoder, bridge)
    for options in ({}, {"negative": a[5]}, {"image_size": (64, 128)}):
        theirs = {k: bridge.apply(v) if k == "negative" else v for k, v in options.items()}
        over = list(decoder.decode(a[:2], Settings(steps=2, options=options)))
        direct = model.decoder.decode(bridge.apply(a[:2]), Settings(steps=2, options=theirs))
        for one, other in zip(over, direct, strict=True):
            assert one.size == other.size and (np.asarray(one) == np.asarray(other)).all()
    with pytest.raises(SpaceMismatch, match="leads to"):
        BridgedDecoder(load("pocket", device="cpu").decoder, bridge)


@pytest.mark.parametrize("set_on", ["the bridged", "the decoder"])
def test_who_decodes_elsewhere_is_kept_over_a_bridge(set_on, tmp_path):
    """`RayEngine.decoding` sets it; a negative point was set before, a size with the call."""
    model = load("kandinsky-2.2", device="cpu", source=WRITERS["kandinsky-2.2"](tmp_path / "k"))
    rng, a, asked = np.random.default_rng(0), cloud(count=64), []
    b = Points(rng.normal(size=(64, model.space.dimension)), model.space, "image")
    bridge = Bridge.fit(a, b)
    there = model.decoder if set_on == "the decoder" else BridgedDecoder(model.decoder, bridge)

    def elsewhere(task):
        asked.append(task)
        return there.with_options(**task.settings.options).decode_task(task)

    if set_on == "the decoder":
        inner = model.decoder.with_options()
        inner.elsewhere = elsewhere
        decoder = BridgedDecoder(inner, bridge)
    else:
        decoder = there.with_options()
        decoder.elsewhere = elsewhere
    decoder = decoder.with_options(negative=a[5])
    settings = Settings(steps=2, options={"image_size": (64, 128)})
    over = list(decoder.decode(a[:2], settings))
    assert len(asked) == 1 and set(asked[0].settings.options) == {"negative", "image_size"}
    assert asked[0].points.space == there.space
    right = BridgedDecoder(model.decoder, bridge).with_options(negative=a[5])
    for one, other in zip(over, right.decode(a[:2], settings), strict=True):
        assert one.size == (64, 128) and (np.asarray(one) == np.asarray(other)).all()


# unclip train bridge


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A CLIP that nobody trained."""
    return f"openclip:{write_folder(tmp_path_factory.mktemp('clip') / 'tiny')}"


@pytest.fixture(scope="module")
def library(clip, sample, tmp_path_factory):
    """Drawings of the sample under that CLIP."""
    place = tmp_path_factory.mktemp("bridged")
    (place / "images").mkdir()
    for file in sorted((sample / "flat").glob("*.png"))[:200]:
        shutil.copy(file, place / "images")
    made = Library.create(place / "photos.lib", load(clip, device="cpu"))
    made.add([place / "images"], workers=0)
    return made


@pytest.fixture(scope="module")
def bridged(library):
    """The folder beside the library, as `train bridge` writes it."""
    said = done("train", "bridge", library.folder, "--to", "pocket", "--device", "cpu")
    assert "cosine by the number of images: 64:" in said
    return bridge_beside(library.folder)


def test_held_out_images_come_nearer_than_by_procrustes_or_chance(bridged):
    for folder in (bridged, bridged / "back"):
        told = Bridge.load(folder).figures
        assert told["held_out"] >= 16 and next(iter(told["by_pairs"])) == "64"
        assert told["cosine"] > max(told[name]["cosine"] for name in ("procrustes", "chance"))
        assert told["recall_at_1"] > told["chance"]["recall_at_1"]


def test_images_words_and_text_diffs_are_decoded_over_it_and_again_from_the_file(
    bridged, library, tmp_path
):
    image, parts = library.rows["item"][0], ("--decoder", bridged, "--steps", 2)
    done("decode", image, *parts, "-o", tmp_path / "a.png")
    done("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    same = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    assert same[0] == same[1]
    done("decode", "a red heart", "--bridge", bridged, "--steps", 2, "-o", tmp_path / "c.png")
    edit = ("diff", image, "--from", "a cat", "--to", "a dog", "--frames", 3)
    done(*edit, *parts, "-o", tmp_path / "d.png")


def test_a_prior_over_a_bridge_gives_points_of_the_librarys_space(bridged, clip):
    model = load(clip, device="cpu", decoder=bridged)
    point = model.prior.sample(["a red heart"])
    assert point.space == model.space and point.side == "image"
    alone = load(clip, device="cpu", prior=bridged)
    assert alone.decoder is None
    assert (alone.prior.sample(["a red heart"]).vectors == point.vectors).all()


def test_the_dashboard_finds_it_beside_the_library(bridged, library, monkeypatch):
    assert not errors(open_page(monkeypatch, "diff", library.folder))
    assert state.model().decoder_from == str(bridged)
    monkeypatch.setattr(state, "is_trusted", lambda _: False)
    assert state.decoder_name() == ""  # what somebody put there is not taken unasked


def test_a_run_goes_on_from_the_blocks_that_it_has(library, bridged, tmp_path, monkeypatch):
    out = shutil.copytree(bridged, tmp_path / "again")
    monkeypatch.setattr(training, "_embed", lambda *_: pytest.fail("it was embedded before"))
    again = unclip_("train", "bridge", library.folder, "--to", "pocket", "-o", out, "--resume")
    assert again.exit_code == 0
    for name in (WEIGHTS, f"back/{WEIGHTS}"):
        assert (out / name).read_bytes() == (bridged / name).read_bytes()
    other = unclip_("train", "bridge", library.folder, "--to", "pocket", "-o", out)
    assert other.exit_code == 2 and "--resume" in other.stderr


def test_a_bridge_that_leads_nowhere_is_refused_before_anything_is_embedded(library, clip):
    plan = Plan(1)
    with pytest.raises(QueryError, match="as they are"):
        training.train(library, library.folder / "x", library.model, plan)
    with pytest.raises(UnknownModel, match="no decoder"):
        other = write_folder(library.folder.parent / "other")
        training.train(library, library.folder / "x", f"openclip:{other}", plan)
    assert not (library.folder / "x").exists()


def test_what_a_bridge_names_is_loaded_on_its_word(bridged, clip, tmp_path):
    """No folder that nobody trusted, and no download."""
    folder = shutil.copytree(bridged, tmp_path / "handed", ignore=shutil.ignore_patterns("work"))
    strange = write_folder(tmp_path / "strange")
    config = strange / "open_clip_config.json"
    config.write_text(config.read_text() + "\n")  # so that it is not one that was trusted
    retell(folder, "bridge", target_model=f"openclip:{strange}")
    with pytest.raises(WeightsMissing, match=f"--trust {strange}"):
        load(clip, device="cpu", decoder=folder)
    retell(folder, "bridge", target_model="kandinsky-2.2")
    with pytest.raises((WeightsMissing, SpaceMismatch), match="starts no download|weights"):
        load(clip, device="cpu", decoder=folder)
