"""The command line, from images on disk to images on disk, with pocket."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fakes import coloured
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import explorer
from explorer import cli, rendering
from explorer.cli import demo as demo_module
from explorer.cli.options import SETTINGS
from explorer.images import open_image
from explorer.library import Library
from explorer.models import load
from explorer.notes import collecting
from explorer.points import Space
from explorer.video import read_frames

GLYPHS = 7  # in emoji_images


def unclip(*words):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words])


def done(*words):
    result = unclip(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*words):
    return json.loads(done(*words, "--json"))


@pytest.fixture
def images(emoji_images):
    """Seven glyphs in two styles, and their captions; not to be written to."""
    return emoji_images


@pytest.fixture(scope="module")
def library(emoji_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "some.lib"
    summary = told("index", emoji_images, "--library", folder, "--model", "pocket")
    assert summary["embedded"] == summary["images"] == 2 * GLYPHS
    return folder


def test_a_second_index_embeds_nothing(images, library):
    summary = told("index", images, "--library", library, "--model", "pocket")
    assert (summary["embedded"], summary["unchanged"]) == (0, 2 * GLYPHS)


def test_words_find_their_image(library):
    hits = told("search", library, "cat face, 3d", "-k", "3")
    assert hits[0]["caption"] == "cat face, 3d"
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert {"rank", "score", "item", "row", "caption", "style"} <= set(hits[0])


def test_a_image_finds_itself_and_where_leaves_others_out(library, images):
    image = images / "3d" / "1f431.png"
    assert told("search", library, image, "-k", "1")[0]["item"].endswith("3d/1f431.png")
    hits = told("search", library, image, "--where", "style=flat")
    assert {hit["style"] for hit in hits} == {"flat"}


def test_arithmetic_on_words_finds_the_counterpart(library):
    query = ("man farmer", "-", "man", "+", "woman")
    assert told("search", library, *query, "-k", "1")[0]["name"] == "woman farmer"


def test_a_sheet_of_hits_is_a_image(library, tmp_path):
    done("search", library, "sun", "-k", "4", "--sheet", tmp_path / "hits.png")
    assert open_image(tmp_path / "hits.png").width > 2 * rendering.TILE


def test_a_diff_writes_a_video_and_measures_every_frame(library, images, tmp_path):
    given = ("--from", "cat face", "--to", "dog face", "--library", library, "--steps", "4")
    rows = told("diff", images / "3d/1f431.png", *given, "--frames", "5", "-o", tmp_path / "a.mp4")
    assert [row["t"] for row in rows] == [0, 0.25, 0.5, 0.75, 1]
    assert rows[-1]["similarity_end"] > rows[0]["similarity_end"]
    assert rows[0]["similarity_start"] > rows[-1]["similarity_start"]
    assert rows[0]["nearest"][0].endswith("3d/1f431.png")
    assert all(-1 <= row["roundtrip"] <= 1 for row in rows)
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 5


def test_a_diff_starts_with_the_image_itself(images, tmp_path):
    """Inverted noise and no guidance: frame 0 reconstructs what the diff starts from."""
    start = open_image(images / "flat/2600.png")
    done("diff", images / "flat/2600.png", "--to", "snowman", "--frames", "2",
         "--steps", "24", "-o", tmp_path / "a.mp4")  # fmt: skip
    first = next(read_frames(tmp_path / "a.mp4")).resize(start.size)
    fixed = next(iter(_fixed(images, tmp_path))).resize(start.size)
    assert _distance(first, start) < 0.5 * _distance(fixed, start)


def _fixed(images, folder):
    done("diff", images / "flat/2600.png", "--to", "snowman", "--frames", "2",
         "--steps", "24", "--noise-from", "seed", "-o", folder / "b.mp4")  # fmt: skip
    return read_frames(folder / "b.mp4")


def _distance(a, b):
    return np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()


def replays(file):
    """Whether `unclip replay` writes the same bytes."""
    again = file.with_name(f"again{file.suffix}")
    done("replay", file, "-o", again)
    return again.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("kind", ["mp4", "webm", "webp", "gif", "png", "jpg"])
def test_a_walk_replays_to_the_same_bytes(kind, library, images, tmp_path):
    stops = (images / "3d/1f431.png", images / "3d/1f436.png", "sun")
    given = ("--library", library, "--frames", "3", "--steps", "2")
    done("walk", *stops, *given, "-o", tmp_path / f"a.{kind}")
    assert replays(tmp_path / f"a.{kind}")


@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("png", ()),
        ("jpg", ()),
        ("webp", ()),
        ("webp", ("-n", "3")),
        ("png", ("-n", "2", "--eta", "0.7")),
        ("png", ("--noise-from", "inverted")),
    ],
)
def test_a_decode_replays_to_the_same_bytes(kind, extra, images, tmp_path):
    file = tmp_path / f"a.{kind}"
    done("decode", images / "3d/1f431.png", *extra, "--steps", "2", "-o", file)
    assert replays(file)


def test_a_diff_replays_to_the_same_bytes(images, tmp_path):
    given = ("--to", "dog face", "--frames", "3", "--steps", "2")
    done("diff", images / "3d/1f431.png", *given, "-o", tmp_path / "a.mp4")
    assert replays(tmp_path / "a.mp4")


def test_an_even_walk_is_timed_by_its_draft_and_replays(images, tmp_path):
    stops = (images / "3d/1f431.png", images / "flat/2600.png")
    given = ("--even", "--frames", "4", "--steps", "2")
    rows = told("walk", *stops, *given, "-o", tmp_path / "a.gif")
    assert (rows[0]["t"], rows[-1]["t"]) == (0, 1)
    assert [row["t"] for row in rows] != pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-3)
    assert replays(tmp_path / "a.gif")


def test_the_version_is_that_of_the_package():
    assert done("--version") == f"unclip {explorer.__version__}\n"


def test_own_options_stand_before_the_shared_ones():
    commands = get_command(cli.unclip).commands
    shared = {*SETTINGS, "model_name", "decoders", "prior", "source", "memory", "weights", "trust"}
    shared |= {"as_json"}
    for name in ("diff", "walk", "decode", "inpaint", "invert"):
        are_shared = [parameter.name in shared for parameter in commands[name].params]
        assert are_shared == sorted(are_shared)
    names = [p.name for p in commands["train"].commands["decoder"].params]
    assert names.index("size") < names.index("resume")


def test_words_are_decoded_through_the_prior(tmp_path):
    done("decode", "a cat", "+", "a red heart", "--steps", "2", "-o", tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").size == (64, 64)


def test_exported_vectors_are_decoded_as_they_are(library, tmp_path):
    for name in ("v.npy", "v.parquet"):
        done("export", library, "-o", tmp_path / name)
        rows = told("decode", tmp_path / name, "--steps", "1", "-o", tmp_path / "all.png")
        assert len(rows) == 2 * GLYPHS
    stored = Library.open(library).points().vectors
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), stored)


def test_info_and_models_tell_json(library):
    assert told("info", library)["rows"] == 2 * GLYPHS
    cards = {card["name"]: card for card in told("models")}
    assert cards["pocket"]["weights_here"] is True
    assert cards["pocket"]["dimension"] == 256


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("search", "nowhere.lib", "cat"), 10, "no library"),
        (("info", "nowhere.lib"), 10, "no library"),
        (("decode", "cat", "-o", "a.txt"), 2, ".png"),
        (("decode", "./gone.png", "-o", "a.png"), 2, "gone.png"),
        (("decode", "-", "cat", "-o", "a.png"), 2, "cat"),
        (("walk", "cat", "-o", "a.mp4"), 2, "two keyframes"),
        (("diff", "cat", "--to", "dog", "-o", "nowhere/a.mp4"), 2, "nowhere"),
        (("decode", "cat", "--model", "pokcet", "-o", "a.png"), 2, "pocket"),
        (("replay", "gone.mp4", "-o", "a.png"), 2, "gone.mp4"),
        (("search",), 2, "Name a library"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(words, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = unclip(*words)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_a_image_without_a_recipe_is_not_replayed(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    result = unclip("replay", tmp_path / "plain.png", "-o", tmp_path / "b.png")
    assert result.exit_code == 2
    assert "no recipe" in result.stderr


def test_broken_files_are_listed_and_do_not_stop_the_rest(images, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(images / "3d", folder)
    whole = (folder / "1f431.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "page.jpg").write_text("<!DOCTYPE html><html></html>")
    (folder / "empty.png").touch()
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16).save(folder / "16.png")
    Image.new("CMYK", (64, 64), (0, 255, 255, 0)).save(folder / "cmyk.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (64, 32), "red").save(folder / "turned.jpg", exif=turned)
    summary = told("index", folder, "--library", tmp_path / "mine.lib", "--model", "pocket")
    assert summary["images"] == GLYPHS + 3
    assert {name.rsplit("/")[-1] for name in (e["item"] for e in summary["errors"])} == {
        "cut.png",
        "page.jpg",
        "empty.png",
    }
    assert all(error["reason"] for error in summary["errors"])


def test_an_interrupt_ends_with_130(monkeypatch, library):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "open", interrupted)
    assert unclip("info", library).exit_code == 130


def test_a_new_library_never_takes_the_model_of_emoji_by_itself(images, tmp_path):
    result = unclip("index", images, "--library", tmp_path / "photos.lib")
    assert result.exit_code == 2 and not (tmp_path / "photos.lib").exists()
    for words in (
        "ViT-B-32/laion2b_s34b_b79k",
        "--model vit-b-32 --source FOLDER",
        "--model pocket",
    ):
        assert words in result.stderr


def test_options_that_contradict_a_library_are_refused(library, images):
    for options, words in (
        (("--model", "openclip:ViT-B-32/laion2b_s34b_b79k"), "embedded with pocket, not with"),
        (("--half",), "stored as float32"),
        (("--source", images), "embedded with pocket, not with openclip:"),
    ):
        result = unclip("index", images, "--library", library, *options)
        assert result.exit_code == 2
        assert words in result.stderr and "--library OTHER" in result.stderr
    assert (
        told("index", images, "--library", library, "--model", "pocket")["unchanged"] == 2 * GLYPHS
    )


@pytest.mark.parametrize(
    "words", [("search", "a cat"), ("export", "-o", "vectors.npy"), ("map", "-o", "map.parquet")]
)
def test_damage_is_told_by_every_command_that_reads(library, tmp_path, monkeypatch, words):
    damaged = tmp_path / "damaged.lib"
    shutil.copytree(library, damaged)
    (newest,) = sorted((damaged / "manifests").iterdir())[-1:]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(bytes(content))
    monkeypatch.chdir(tmp_path)
    result = unclip(words[0], damaged, *words[1:])
    assert "unclip: warning: Version 2 was skipped" in result.stderr


def test_the_locked_library_has_its_own_code(library, images):
    hold = "import sys\nfrom pathlib import Path\nfrom explorer.library.lock import WriterLock\n"
    hold += f"with WriterLock(Path({str(library)!r})):\n    print('held', flush=True)\n    input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        result = unclip("index", images, "--library", library)
        other.communicate("\n")
    assert result.exit_code == 11
    assert str(other.pid) in result.stderr


def test_the_demo_puts_its_library_of_another_pocket_aside(tmp_path, monkeypatch):
    """Once it ended with the sentence to remove the folder, which `make demo` had made itself."""
    stranger = coloured(Space("pocket", 256, "0f"), "pocket")
    for _ in range(2):
        folder = Library.create(tmp_path / "sample.lib", stranger).folder
        few = tmp_path / "few"
        whole = demo_module.SAMPLE / "images" / "flat"
        shutil.copytree(whole, few / "images", ignore=some, dirs_exist_ok=True)
        with monkeypatch.context() as patch, collecting() as notes:
            patch.setattr(demo_module, "SAMPLE", few)
            renewed = demo_module._indexed(load("pocket", device="cpu"), folder)
        assert len(renewed) == 3 and any("it is now" in each for each in notes)
        shutil.rmtree(folder)
    kept = [Library.open(tmp_path / f"sample-before-{i}.lib") for i in (1, 2)]
    assert all(library.space.fingerprint == "0f" for library in kept)


def some(_, names):
    """Leave out all but three files."""
    return sorted(names)[3:]
