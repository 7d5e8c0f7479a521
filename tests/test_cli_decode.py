"""Inverting, in-painting, redrawing and comparing decoders on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from families import WRITERS
from PIL import Image
from typer.testing import CliRunner

from explorer import cli
from explorer.images import open_image, read_recipe
from explorer.models.pocket import FOLDER


def unclip(*words):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words])


def told(*words):
    result = unclip(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def cat(sample):
    return sample / "3d" / "1f431.png"


@pytest.fixture(scope="module")
def small(cat, tmp_path_factory):
    """The same at pocket's own size, so that what stays is the same pixel for pixel."""
    file = tmp_path_factory.mktemp("small") / "cat.png"
    open_image(cat).resize((64, 64)).save(file)
    return file


def pixels(file):
    return np.asarray(open_image(file)).astype(int)


def same_again(file):
    again = file.with_name(f"again-{file.name}")
    told("replay", file, "-o", again)
    assert again.read_bytes() == file.read_bytes()


def test_an_inverted_image_comes_back_and_varies_with_eta(small, tmp_path):
    told("invert", small, "--steps", "10", "-o", tmp_path / "cat.npz")
    told("decode", "--noise", tmp_path / "cat.npz", "-o", tmp_path / "a.png")
    back = np.abs(pixels(tmp_path / "a.png") - pixels(small)).mean()
    told("decode", small, "-o", tmp_path / "b.png")
    assert back < 0.5 * np.abs(pixels(tmp_path / "b.png") - pixels(small)).mean()
    given = ("--noise", tmp_path / "cat.npz", "--eta", "0.8", "-n", "2")
    told("decode", *given, "-o", tmp_path / "c.png")
    assert pixels(tmp_path / "c.png").shape[1] > 128
    same_again(tmp_path / "c.png")


def test_inverted_noise_is_decoded_at_another_point(small, tmp_path):
    told("invert", small, "--steps", "4", "-o", tmp_path / "cat.npz")
    with np.load(tmp_path / "cat.npz", allow_pickle=False) as arrays:
        assert arrays["noise"].shape == (1, 48, 16, 16)
        assert arrays["points"].shape == (1, 256)
    (row,) = told("decode", "a dog", "--noise", tmp_path / "cat.npz", "-o", tmp_path / "a.png")
    assert row["label"] == "a dog"
    assert read_recipe(tmp_path / "a.png")["settings"]["steps"] == 4


def test_noise_of_another_decoder_is_refused(small, tmp_path):
    told("invert", small, "--steps", "2", "-o", tmp_path / "cat.npz")
    with np.load(tmp_path / "cat.npz") as arrays:
        changed = dict(arrays)
    recipe = json.loads(str(changed["recipe"])) | {"decoder": "another"}
    np.savez(tmp_path / "other.npz", **changed | {"recipe": json.dumps(recipe)})
    result = unclip("decode", "--noise", tmp_path / "other.npz", "-o", tmp_path / "a.png")
    assert result.exit_code == 2
    assert "another decoder: invert the image again" in result.stderr


@pytest.mark.parametrize("with_mask", [True, False])
def test_in_painting_keeps_what_is_outside_and_replays(with_mask, small, tmp_path):
    where = ("--box", "0,0,32,64")
    if with_mask:
        mask = Image.new("L", (64, 64))
        mask.paste(255, (0, 0, 32, 64))
        mask.save(tmp_path / "mask.png")
        where = ("--mask", tmp_path / "mask.png")
    given = ("--text", "dog face", "--steps", "4", "-o", tmp_path / "a.png")
    (row,) = told("inpaint", small, *where, *given)
    painted, before = pixels(tmp_path / "a.png"), pixels(small)
    assert (painted[:, 32:] == before[:, 32:]).all()
    assert (painted[:, :32] != before[:, :32]).any(axis=-1).mean() > 0.5
    assert row["label"] == "dog face"
    same_again(tmp_path / "a.png")


def test_less_strength_stays_nearer_to_the_image(small, tmp_path):
    far = []
    for strength in ("0.3", "0.9"):
        told("decode", small, "+", "dog face", "--strength", strength, "-o", tmp_path / "a.png")
        far.append(np.abs(pixels(tmp_path / "a.png") - pixels(small)).mean())
    assert far[0] < far[1]
    same_again(tmp_path / "a.png")


def test_several_decoders_of_one_space_are_shown_on_one_labelled_sheet(small, tmp_path):
    two = ("--decoder", "pocket", "--decoder", "pocket", "--steps", "2", "-n", "3")
    rows = told("decode", small, *two, "-o", tmp_path / "a.png")
    assert [row["decoder"] for row in rows] == ["pocket"] * 6
    assert pixels(tmp_path / "a.png").shape[0] > 2 * 128
    same_again(tmp_path / "a.png")


def test_a_preview_and_the_own_solver_are_in_the_recipe(pocket, tmp_path):
    told("decode", "a cat", "--preview", "-o", tmp_path / "a.png")
    assert read_recipe(tmp_path / "a.png")["settings"]["steps"] <= 8
    told("decode", "a cat", "--solver", "own", "--steps", "3", "-o", tmp_path / "a.png")
    assert read_recipe(tmp_path / "a.png")["settings"]["solver"] == "own"
    same_again(tmp_path / "a.png")


def test_weights_may_come_from_a_folder(tmp_path):
    given = ("--model", "pocket", "--source", FOLDER, "--steps", "2")
    told("decode", "a cat", *given, "-o", tmp_path / "a.png")
    same_again(tmp_path / "a.png")


def test_normalised_vectors_are_decoded_on_request(pocket, small, tmp_path):
    point = pocket.encoder.encode_images([open_image(small)])
    np.save(tmp_path / "unit.npy", point.unit)
    given = ("decode", tmp_path / "unit.npy", "--steps", "2", "-o", tmp_path / "a.png")
    assert "normalised" in unclip(*given).stderr
    (row,) = told(*given, "--rescale")
    assert row["roundtrip"] > 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("inpaint", "CAT", "-o", "a.png"), "--mask FILE, or --box"),
        (("inpaint", "CAT", "--box", "1,2,3", "-o", "a.png"), "LEFT,TOP,WIDTH,HEIGHT"),
        (("inpaint", "CAT", "--box", "900,0,9,9", "-o", "a.png"), "all black"),
        (("inpaint", "CAT", "--box", "0,0,9,9", "-o", "a.mp4"), "use one of .png"),
        (("inpaint", "gone.png", "--box", "0,0,9,9", "-o", "a.png"), "gone.png"),
        (("decode", "CAT", "--strength", "1.5", "-o", "a.png"), "up to 1"),
        (("decode", "--noise", "CAT", "--rescale", "-o", "a.png"), "neither --strength nor"),
        (("invert", "CAT", "-o", "a.png"), ".npz"),
        (("decode", "-o", "a.png"), "--noise FILE"),
        (("decode", "a cat", "--strength", "0.5", "-o", "a.png"), "name one in the query"),
        (("decode", "CAT", "--strength", "0.01", "-o", "a.png"), "leaves no step to do"),
        (("decode", "--noise", "CAT", "-o", "a.png"), "holds no noise"),
        (("decode", "a cat", "--option", "prompt=oil", "-o", "a.png"), "no option 'prompt'"),
        (("decode", "a cat", "--option", "prompt", "-o", "a.png"), "NAME=VALUE"),
        (("decode", "a cat", "--solver", "euler", "-o", "a.png"), "'own'"),
        (("decode", "a cat", "--source", "x", "-o", "a.png"), "say which with --model"),
        (("walk", "a", "b", *("--decoder", "pocket") * 2, "-o", "a.gif"), "compares several"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(words, said, cat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = unclip(*(str(cat) if word == "CAT" else word for word in words))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not list(Path().iterdir())


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Tiny checkpoints of three families, the last two of which read points of one space."""
    folder = tmp_path_factory.mktemp("released")
    return {
        name: f"{name}:{WRITERS[name](folder / name)}"
        for name in ("kandinsky-2.2", "stable-unclip", "ip-adapter-sd15")
    }


def test_one_point_is_shown_through_two_families(released, cat, tmp_path):
    names = ["stable-unclip", "ip-adapter-sd15"]
    both = [word for name in names for word in ("--decoder", released[name])]
    rows = told("decode", cat, *both, "--preview", "-o", tmp_path / "a.png")
    assert [row["decoder"] for row in rows] == names
    same_again(tmp_path / "a.png")
    pair = ("--decoder", "pocket", "--decoder", released["kandinsky-2.2"])
    result = unclip("decode", cat, *pair, "-o", tmp_path / "b.png")
    assert "Decoders on one sheet must read one space" in result.stderr


def test_options_of_a_family_are_taken_and_replayed(released, cat, tmp_path):
    given = ("--steps", "2", "-o", tmp_path / "a.png")
    told("decode", cat, *given, "--decoder", released["ip-adapter-sd15"],
         "--option", "prompt=a red cat", "--option", "scale=0.5", "--memory", "50MB")  # fmt: skip
    options = read_recipe(tmp_path / "a.png")["settings"]["options"]
    assert options == {"prompt": "a red cat", "scale": 0.5}
    same_again(tmp_path / "a.png")
    told("decode", cat, *given, "--decoder", released["kandinsky-2.2"],
         "--option", f"negative={cat}", "--option", "image_size=64x128")  # fmt: skip
    assert pixels(tmp_path / "a.png").shape == (128, 64, 3)
    same_again(tmp_path / "a.png")


def test_a_family_paints_a_image_of_any_size(released, cat, tmp_path):
    name, _, folder = released["kandinsky-2.2"].partition(":")
    given = ("--model", name, "--source", folder, "--steps", "4", "-o", tmp_path / "a.png")
    (row,) = told("inpaint", cat, "--box", "0,0,40,40", "--text", "a dog", *given)
    assert row["label"] == "a dog"
    same_again(tmp_path / "a.png")
    assert unclip("invert", cat, *given[:6], "-o", tmp_path / "n.npz").exit_code == 0
    assert told("decode", "--noise", tmp_path / "n.npz", "-o", tmp_path / "b.png")
