"""Trained decoders and priors, arrays and caches: none runs code, none ends in a traceback."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hostile_folders import plant_spy, refused, run

import explorer
from explorer.errors import ExplorerError
from explorer.library.relevance import Relevance
from explorer.models.shared.manifest import sha256
from explorer.projection import FILE_NAME
from explorer.regions import vocabulary_vectors

POCKET = Path(explorer.__file__).parent / "weights" / "pocket"
DOG = Path(explorer.__file__).parent / "sample" / "images" / "flat" / "1f436.png"


def test_a_text_tower_that_gives_no_numbers_is_one_sentence(tmp_path):
    from safetensors.torch import load_file, save_file

    clip = tmp_path / "clip"
    clip.mkdir()
    for name in ("open_clip_config.json", "bpe.txt.gz"):
        shutil.copy(POCKET / name, clip)
    state = load_file(POCKET / "open_clip_model.safetensors")
    for part in (name for name in state if name.endswith("text_projection")):
        state[part] *= float("nan")
    save_file(state, clip / "open_clip_model.safetensors")
    kept = tmp_path / "a.lib"
    assert run("index", DOG, "--library", kept, "--model", f"openclip:{clip}").exit_code == 0
    assert refused(run("search", kept, "a dog"), "The text tower of openclip:clip gives")


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """A decoder and a prior as `unclip train` writes them, with pocket's weights."""
    folder = tmp_path_factory.mktemp("trained")
    for part in ("unet", "draft", "image_normalizer", "scheduler", "prior"):
        shutil.copytree(POCKET / part, folder / part)
    return folder


def listed(folder, **changes):
    """Write decoder.json and prior.json with the checksums of the files as they are now."""
    own = json.loads((POCKET / "pocket.json").read_text())
    space = json.loads(Path(folder / "space.json").read_text())
    files = [f for f in folder.rglob("*") if f.suffix in (".json", ".safetensors")]
    sums = {f.relative_to(folder).as_posix(): sha256(f) for f in files if f.parent != folder}
    values = own | {"model": "pocket", "space": space, "sha256": sums} | changes
    for name in ("decoder.json", "prior.json"):
        (folder / name).write_text(json.dumps(values))
    return folder


@pytest.fixture
def mine(trained_folder, pocket, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "mine")
    (folder / "space.json").write_text(json.dumps(vars(pocket.space)))
    return listed(folder)


def drawn(folder):
    out = folder.parent / "a.png"
    words = ("--steps", "1", "--decoder", folder, "--prior", folder, "-o", out)
    return run("decode", "a dog", *words)


def test_a_trained_folder_runs_no_code(mine, marker):
    assert drawn(mine).exit_code == 0
    plant_spy(mine, marker)
    assert refused(drawn(listed(mine)), "code of a folder is never run")
    assert not marker.exists()
    for part in ("unet", "prior", "scheduler", "image_normalizer"):
        for file in (mine / part).glob("*config.json"):
            config = json.loads(file.read_text())
            config.pop("auto_map", None)
            file.write_text(json.dumps(config))
    made = drawn(listed(mine))  # nothing asks for the code any more, which still lies there
    assert made.exit_code == 0, made.output
    assert not marker.exists()


CONFIGS = ("unet/config.json", "prior/config.json", "scheduler/scheduler_config.json")


@pytest.mark.parametrize("file", CONFIGS)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        '{"a": ' * 10_000,
        "null",
        "{",
        None,
        '{"in_channels": 1e12, "num_layers": 1e9}',
    ],
    ids=["deep list", "deep object", "null", "cut", "missing", "vast"],
)
def test_a_trained_folder_with_a_bad_configuration_is_one_sentence(file, text, mine):
    if text is None:
        (mine / file).unlink()
    else:
        (mine / file).write_text(text)
    assert refused(drawn(listed(mine)), str(mine / file).rpartition("/")[0])


def test_weights_of_another_network_are_one_sentence(mine):
    shutil.copy(mine / "unet/config.json", mine / "prior/config.json")
    assert refused(drawn(listed(mine)), "not those of a PriorTransformer")
    shutil.copy(POCKET / "prior/config.json", mine / "prior/config.json")
    shutil.copy(
        mine / "prior/diffusion_pytorch_model.safetensors", mine / "draft/model.safetensors"
    )
    assert refused(drawn(listed(mine)), "not the draft of this decoder")


class Bomb:
    """Whoever unpickles it writes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return Path.write_text, (Path(self.marker), "code of the array ran")


def test_arrays_and_caches_run_no_code(emoji, tmp_path, marker, pocket, monkeypatch):
    """Every array that is read, with objects in it that would write a file."""
    bombs = np.empty((2, 2), dtype=object)
    bombs[:] = Bomb(marker)
    np.save(npy := tmp_path / "a.npy", bombs)
    names = ("vectors", "recipe", "noise", "key", "mean", "spread", "bests")
    np.savez(npz := tmp_path / "a.npz", **dict.fromkeys(names, bombs))
    kept = shutil.copytree(emoji, tmp_path / "a.lib")
    out = tmp_path / "a.png"
    for words in (
        ("decode", npy, "-o", out),
        ("decode", "--noise", npz, "-o", out),
        ("import", npy, "--library", tmp_path / "b.lib", "--model", "pocket"),
        ("import", npz, "--library", tmp_path / "b.lib", "--model", "pocket"),
    ):
        assert run(*words).exit_code == 2, words
    library = explorer.Library.open(kept)
    shutil.copy(npz, tmp_path / FILE_NAME)
    with pytest.raises(ExplorerError, match="damaged"):
        explorer.Projection.load(tmp_path, library.points())
    assert Relevance.load(npz, "key") is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vocabulary_vectors(pocket.encoder, ["a dog"])
    (cached,) = (tmp_path / "cache").rglob("vocabulary-*.npy")
    shutil.copy(npy, cached)
    assert vocabulary_vectors(pocket.encoder, ["a dog"]).shape == (1, 256)
    for vectors in kept.rglob("vectors.npy"):
        shutil.copy(npy, vectors)
    with suppress(ExplorerError):
        explorer.Library.open(kept).search(pocket.encoder.encode_text("a dog"))
    assert not marker.exists()
    with pytest.raises(ValueError, match="allow_pickle"):
        np.load(npy)
    np.load(npy, allow_pickle=True)
    assert marker.exists()  # the arrays do what they are for
