"""`unclip train`: a decoder and a prior for a CLIP that is not pocket's."""

import csv
import json
import os
import resource
import shutil
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer.main
from test_models import write_folder
from tiny_rae import tiny_rae
from typer.testing import CliRunner

from explorer.cli import unclip
from explorer.errors import QueryError, TrainingError, UnknownModel, WeightsMissing
from explorer.images import open_image
from explorer.library import Library
from explorer.models import load
from explorer.models.shared.manifest import sha256
from explorer.models.shared.patch_decoder import UNET, PatchDecoder
from explorer.models.shared.token_prior import token_states
from explorer.path import Path
from explorer.settings import Settings
from explorer.training import decoder as decoder_training
from explorer.training import decoder_network
from explorer.training import prior as prior_training
from explorer.training.decoder import Design
from explorer.training.decoder_network import Networks
from explorer.training.examples import Examples, draw_rows
from explorer.training.loop import Interrupt, Plan
from explorer.training.run_folder import held_out, row_weights
from explorer.training.starting import start_from

SMALL = Design(start="none", widths=(32, 64))
COUNT, SHOWN = 80, 3


@pytest.fixture(scope="module", autouse=True)
def _small_sheets():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_training, "SHEET_IMAGES", SHOWN)
        yield


def plan(steps, **given):
    return Plan(30, steps=steps, batch=8, **given)


def unclip_(*words):
    return CliRunner().invoke(unclip, [str(word) for word in words])


def done(*words):
    result = unclip_(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def images(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "images"
    shutil.copytree(sample / "flat", folder / "flat")
    for file in sorted((folder / "flat").iterdir())[COUNT:]:
        file.unlink()
    shutil.copy(sample / "captions.csv", folder)
    return folder


@pytest.fixture(scope="module")
def library(clip, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "photos.lib"
    done("index", images, "--library", folder, "--model", f"openclip:{clip}", "--workers", 0)
    return Library.open(folder)


@pytest.fixture(scope="module")
def trained(library, tmp_path_factory):
    """A decoder after five steps, and five more in a second call."""
    folder = tmp_path_factory.mktemp("trained") / "decoder"
    decoder_training.train(library, folder, SMALL, plan(5))
    decoder_training.train(library, folder, SMALL, plan(10), resume=True)
    return folder


@pytest.fixture(scope="module")
def prior(library, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "prior"
    prior_training.train(library, folder, "caption", plan(5))
    prior_training.train(library, folder, "caption", plan(10), resume=True)
    return folder


def manifest(folder, name="decoder.json"):
    return json.loads((folder / name).read_text())


# What comes out


def test_a_decoder_says_what_it_is_and_how_well_it_does(trained, library):
    told = manifest(trained)
    assert told["space"]["fingerprint"] == library.space.fingerprint
    assert (told["training"]["step"], told["training"]["images"]) == (10, COUNT)
    assert told["held_out"]["images"] == SHOWN
    assert -1 <= told["held_out"]["round_trip"] <= 1
    assert "unet/diffusion_pytorch_model.safetensors" in told["sha256"]
    assert not any(name.startswith(("work", "samples")) for name in told["sha256"])


def test_every_look_is_a_sheet_and_a_row_of_scores(trained):
    with (trained / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["stage"], row["step"]) for row in rows][-1] == ("unet", "10")
    assert {"loss", "learning_rate", "round_trip", "chance", "found_first"} <= set(rows[0])
    sheets = sorted((trained / "samples").iterdir())
    assert len(sheets) == len(rows) >= 3
    assert open_image(sheets[0]).width > SHOWN * 64


def test_a_decoder_without_its_work_files_is_whole(trained, clip, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "copy")
    shutil.rmtree(copy / "work")
    model = load(f"openclip:{clip}", device="cpu", decoder=copy)
    assert model.decoder.image_size == (64, 64)
    with pytest.raises(QueryError, match="no training that could be resumed"):
        decoder_training.train(
            Library.open(manifest(copy)["training"]["library"]), copy, SMALL, plan(9), resume=True
        )


@pytest.mark.parametrize("draft", ["plain", "painter"])
def test_a_decoder_of_128_pixels_goes_the_whole_way(draft, library, tmp_path):
    design = Design(128, "none", widths=(32, 64), draft=draft)
    told = decoder_training.train(library, tmp_path / "large", design, plan(1))
    assert told["draft"] == draft
    model = load(library.model, device="cpu", decoder=tmp_path / "large")
    assert (model.decoder.image_size, model.decoder.latent_shape) == ((128, 128), (192, 16, 16))
    points = library.points([0])
    (image,) = model.decoder.decode(points, Settings(steps=2))
    assert image.size == (128, 128)
    seen = model.decoder.to_image(model.decoder.to_latent([image]))
    assert np.array_equal(seen[0], image)
    noise = model.decoder.invert([image], points, Settings(steps=4))
    ends = model.decoder.decode(library.points([0, 1]), Settings(steps=2, seed=1))
    path = Path.slerp(points, library.points([1])).sample(3)
    frames = list(model.decoder.decode(path, Settings(steps=2, seed=1)))
    assert [frame.size for frame in frames] == [(128, 128)] * 3 and len(noise) == 1
    for end, frame in zip(ends, frames[::2], strict=True):
        assert np.abs(np.asarray(end).astype(int) - np.asarray(frame)).max() <= 1


def test_images_are_decoded_and_replayed_with_a_folder(trained, images, tmp_path):
    image = next(images.glob("flat/*.png"))
    given = ("--decoder", trained, "--steps", 2)
    done("decode", image, *given, "-o", tmp_path / "a.png")
    done("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert np.array_equal(open_image(tmp_path / "a.png"), open_image(tmp_path / "b.png"))
    done("walk", image, image, *given, "--frames", 2, "-o", tmp_path / "w.png")
    done("diff", image, "--to", "a dog", *given, "--frames", 2, "-o", tmp_path / "d.png")


def test_words_are_decoded_through_a_trained_prior(trained, prior, tmp_path):
    parts = ("--decoder", trained, "--prior", prior, "--steps", 2)
    done("decode", "a red heart", *parts, "-o", tmp_path / "a.png")
    told = manifest(prior, "prior.json")
    assert {"prior_recall_at_10", "words_alone_recall_at_10"} <= set(told["held_out"])
    assert (told["training"]["step"], told["training"]["captions"]) == (10, COUNT)


def test_a_name_stands_for_that_models_parts(pocket, tmp_path):
    done("decode", "a cat", "--decoder", "pocket", "--prior", "pocket", "--steps", 1,
         "-o", tmp_path / "a.png")  # fmt: skip
    assert load("pocket", device="cpu", decoder="pocket").decoder_from == "pocket"


# What is refused


def test_a_decoder_of_another_space_is_refused_with_both_names(trained, prior, tmp_path):
    for part in ("--decoder", trained), ("--prior", prior):
        result = unclip_("decode", "a cat", "--model", "pocket", *part, "-o", tmp_path / "a.png")
        assert result.exit_code == 2
        assert all(said in result.stderr for said in ("pocket (", "openclip:tiny (", "load"))


def test_a_replay_without_its_decoder_says_where_it_was(trained, images, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "mine")
    image = next(images.glob("flat/*.png"))
    done("decode", image, "--decoder", folder, "--steps", 1, "-o", tmp_path / "a.png")
    moved = folder.rename(tmp_path / "moved")
    gone = unclip_("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert gone.exit_code == 2 and str(folder) in gone.stderr
    done("replay", tmp_path / "a.png", "--decoder", moved, "-o", tmp_path / "b.png")


def test_a_replay_with_a_decoder_that_was_trained_on_is_refused(library, trained, images, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "mine")
    image = next(images.glob("flat/*.png"))
    done("decode", image, "--decoder", folder, "--steps", 1, "-o", tmp_path / "a.png")
    decoder_training.train(library, folder, SMALL, plan(11), resume=True)
    changed = unclip_("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert changed.exit_code == 2 and f"--trust {folder}" in changed.stderr
    other = unclip_("replay", tmp_path / "a.png", "-o", tmp_path / "b.png", "--trust", folder)
    assert other.exit_code == 2 and "fingerprint" in other.stderr


@pytest.mark.parametrize("harm", ["cut", "gone", "no manifest", "other json"])
def test_a_damaged_decoder_is_one_clear_error(harm, trained, clip, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "harmed", ignore=shutil.ignore_patterns("work"))
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    if harm == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif harm == "gone":
        weights.unlink()
    elif harm == "other json":
        (folder / "decoder.json").write_text("[]")
    else:
        (folder / "decoder.json").unlink()
    with pytest.raises(WeightsMissing, match="unclip train decoder"):
        load(f"openclip:{clip}", device="cpu", decoder=folder)


def test_a_folder_that_is_taken_is_refused(library, trained, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(QueryError, match="not empty"):
        decoder_training.train(library, tmp_path, SMALL, plan(1))
    with pytest.raises(QueryError, match="--resume"):
        decoder_training.train(library, trained, SMALL, plan(1))
    with pytest.raises(QueryError, match="size = 64.*128"):
        decoder_training.train(library, trained, Design(128), plan(1), resume=True)
    with pytest.raises(QueryError, match="--minutes 60"):
        decoder_training.train(library, trained, SMALL, plan(10), resume=True)


@pytest.mark.parametrize("train", [decoder_training.train, prior_training.train])
def test_an_empty_library_and_a_model_that_is_gone_are_refused(train, clip, images, tmp_path):
    what = SMALL if train is decoder_training.train else "caption"
    model = load(f"openclip:{clip}", device="cpu")
    empty = Library.create(tmp_path / "empty.lib", model)
    with pytest.raises(QueryError, match="empty"):
        train(empty, tmp_path / "out", what, plan(1))
    elsewhere = f"openclip:{tmp_path / 'gone'}"
    lost = Library.create(tmp_path / "lost.lib", replace(model, name=elsewhere))
    lost.add([images], workers=0)
    with pytest.raises(WeightsMissing, match="gone.*cannot be loaded"):
        train(lost, tmp_path / "out", what, plan(1))
    assert not (tmp_path / "out").exists()


def test_images_that_are_gone_are_counted_and_too_few_are_refused(clip, images, tmp_path, capsys):
    copy = shutil.copytree(images, tmp_path / "images")
    model = load(f"openclip:{clip}", device="cpu")
    library = Library.create(tmp_path / "photos.lib", model)
    library.add([copy], workers=0)
    files = sorted(copy.glob("flat/*.png"))
    for file in files[:5]:
        file.unlink()
    told = decoder_training.train(library, tmp_path / "out", SMALL, plan(1))
    assert (told["training"]["images"], told["training"]["skipped"]) == (COUNT - 5, 5)
    assert "5 of 80 images cannot be opened" in capsys.readouterr().err
    for file in files[5:30]:
        file.unlink()
    with pytest.raises(QueryError, match="50 rows.*64.*30 images cannot be opened"):
        decoder_training.train(library, tmp_path / "few", SMALL, plan(1))


def test_captions_that_are_missing_are_refused_with_the_columns_that_there_are(library, tmp_path):
    with pytest.raises(QueryError, match="no column 'titel'.*'caption'.*--caption-column"):
        prior_training.train(library, tmp_path / "prior", "titel", plan(1))


def test_a_text_tower_without_token_states_is_refused_by_name():
    class Foreign(torch.nn.Module):
        text = torch.nn.Identity()

    with pytest.raises(UnknownModel, match="Identity"):
        token_states(Foreign(), torch.zeros(1, 4, dtype=torch.long))


# What goes wrong on the way


def test_a_full_disk_and_a_loss_that_is_not_finite_leave_the_last_checkpoint(
    library, trained, tmp_path
):
    """The limit on a file's size is a disk that refuses: the same error path, without root."""
    folder = shutil.copytree(trained, tmp_path / "out")
    checkpoint = folder / "work" / "draft.safetensors"
    before, decoder = checkpoint.read_bytes(), manifest(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"MB are needed.*--resume"):
            decoder_training.train(library, folder, SMALL, plan(12), resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(TrainingError, match="--rate"):
        decoder_training.train(library, folder, SMALL, plan(13, rate=1e30), resume=True)
    assert checkpoint.read_bytes() == before
    assert manifest(folder) == decoder
    told = decoder_training.train(library, folder, SMALL, plan(12), resume=True)
    assert told["training"]["step"] == 12


@pytest.mark.parametrize("number", Interrupt.SIGNALS)
def test_only_the_first_signal_waits_for_the_step(number):
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), number)
        assert interrupt.asked
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before


def test_ctrl_c_leaves_a_decoder_and_a_training_that_resumes(library, tmp_path, monkeypatch):
    """Through the command line, with networks of their real size."""
    monkeypatch.setattr(decoder_training, "SHEET_IMAGES", 1)
    folder = tmp_path / "out"

    def interrupt():
        while not (folder / "decoder.json").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    watching = threading.Thread(target=interrupt, daemon=True)
    watching.start()
    result = unclip_("train", "decoder", library.folder, "-o", folder, "--minutes", 30)
    assert result.exit_code == 130, result.output
    assert "--resume" in result.stderr
    stopped = manifest(folder)["training"]["step"]
    load(library.model, device="cpu", decoder=folder)
    seen = json.loads(
        done(
            "train",
            "decoder",
            library.folder,
            "-o",
            folder,
            "--minutes",
            0.05,
            "--resume",
            "--json",
        )
    )
    assert seen["training"]["stage"] == "unet" or seen["training"]["step"] > stopped


# What is learnt


def test_one_image_in_twenty_is_held_out_and_never_drawn():
    hashes = [f"{(i * 7919) % 65537:05x}" for i in range(400)]
    out = held_out(hashes + hashes[:40])
    assert 16 <= out.sum() <= 30 and list(out[:40]) == list(out[400:])
    assert held_out(hashes[:64]).sum() == 16
    weights = row_weights(out)
    assert not weights[out].any() and weights.sum() == pytest.approx(1)
    rows = draw_rows(weights, 10_000, np.random.default_rng(0))
    assert sorted(rows) == list(np.flatnonzero(~out))


def test_a_start_from_pocket_takes_all_but_the_first_and_last_layers():
    from explorer.models.pocket import FOLDER

    examples = _examples(dimension=24)
    networks = Networks.fresh(examples, plan(1))
    before = {k: v.clone() for k, v in networks.unet.state_dict().items()}
    start_from(networks, FOLDER)
    kept = [k for k, v in networks.unet.state_dict().items() if torch.equal(v, before[k])]
    assert {name.split(".")[0] for name in kept} == {"class_embedding", "conv_out"}


def _examples(dimension, count=20):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    points = rng.normal(size=(count, dimension)).astype(np.float32)
    return Examples(pixels, points, np.full(count, 1 / count))


@pytest.mark.slow
def test_a_minute_on_32_images_learns_them(pocket, sample, tmp_path):
    """Decodes of what was trained on come near their points, far above another image's."""
    files = sorted((sample / "flat").iterdir())[::10][:32]
    images = [open_image(file) for file in files]
    points = pocket.encoder.encode_images(images)
    pixels = np.stack([np.asarray(image) for image in images])
    examples = Examples(pixels, points.vectors, np.full(len(pixels), 1 / len(pixels)))
    once = Plan(1, steps=80)
    networks = Networks.fresh(examples, once)
    for _ in decoder_network.train(examples, networks, tmp_path, once):
        pass
    networks.save(tmp_path / "made")
    told = {"model": "pocket", **decoder_network.DEFAULTS, "norm_mean": 26.0, "norm_std": 7.0}
    told["sha256"] = {UNET: sha256(tmp_path / "made" / UNET)}
    decoder = PatchDecoder(tmp_path / "made", points.space, told)
    seen = pocket.encoder.encode_images(list(decoder.decode(points)))
    cosines = seen.unit @ points.unit.T
    own, others = np.diag(cosines), cosines[~np.eye(32, dtype=bool)]
    assert np.median(own) > 0.4 + np.median(others)
    assert (cosines.argmax(1) == np.arange(32)).mean() > 0.5  # by chance: 0.03


@pytest.mark.parametrize("name", ["decoder", "prior"])
def test_every_option_of_a_training_is_explained_and_none_like_another(name):
    command = typer.main.get_command(unclip).commands["train"].commands[name]
    helps = {parameter.name: parameter.help for parameter in command.params}
    assert all(helps.values()) and len(set(helps.values())) == len(helps), helps
    assert f"unclip train {name}" in command.help


def test_a_decoder_is_trained_to_the_tokens_of_a_codec_and_goes_on(library, tmp_path):
    name = f"rae:{tmp_path / 'rae'}"
    tiny_rae(tmp_path / "rae")
    design, folder = Design(start="none", widths=(32, 64), codec=name), tmp_path / "tokens"
    decoder_training.train(library, folder, design, plan(1))
    told = decoder_training.train(library, folder, design, plan(2), resume=True)
    assert (told["training"]["step"], told["training"]["size"]) == (2, 64)
    assert told["codec"]["model"] == name
    assert {"round_trip", "chance"} <= set(told["held_out"])
    decoder = decoder_training.load_decoder(folder, "cpu")
    assert decoder.latent_shape == (64, 16, 16)
    with pytest.raises(QueryError, match="codec = "):
        decoder_training.train(library, folder, SMALL, plan(3), resume=True)
    with pytest.raises(QueryError, match='starts from "none"'):
        Design(codec=name)
