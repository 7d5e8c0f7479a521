"""What data names starts no download, and is loaded only with the checksum that it recorded."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
from fake_hub import hub_of
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import explorer
from explorer.cli import unclip
from explorer.errors import SpaceMismatch, WeightsMissing
from explorer.library import manifest
from explorer.models import openclip
from explorer.models.shared.on_word import kept, named_by, named_by_data
from explorer.models.shared.short_names import SHORT_NAMES

POCKET = Path(explorer.__file__).parent / "weights" / "pocket"
DOG = Path(explorer.__file__).parent / "sample" / "images" / "flat" / "1f436.png"
WEIGHTS = "open_clip_model.safetensors"
TAG = "openclip:ViT-B-32/laion2b_s34b_b79k"


def tiny():
    """A configuration whose networks are small; the tag's own have 605 MB."""
    config = json.loads((POCKET / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"] = config["text_cfg"] | {"vocab_size": 49408, "tokenizer_kwargs": {}}
    return config


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of it, as the hub has them."""
    import torch

    torch.manual_seed(0)
    module = open_clip.CLIP(**tiny())
    file = tmp_path_factory.mktemp("weights") / WEIGHTS
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, file)
    return file


@pytest.fixture
def hub(tmp_path, monkeypatch, weights):
    """A hub with the default model, and nothing in the cache or trusted yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {"ViT-B-32": tiny()})
    with hub_of({WEIGHTS: weights.read_bytes()}, tmp_path / "cache") as server:
        yield server


def run(*words):
    return CliRunner().invoke(unclip, [str(word) for word in words])


def sentence(result):
    """The one line of an error: exit code 2, and no traceback."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    return " ".join(result.stderr.split())


def blob(tmp_path):
    return next((tmp_path / "cache").rglob(f"snapshots/*/{WEIGHTS}")).resolve()


def test_index_says_what_it_fetches_and_search_works_offline(hub, tmp_path, monkeypatch):
    made = run("index", DOG, "--library", tmp_path / "a.lib")
    assert made.exit_code == 0, made.output
    said = " ".join(made.stderr.split())
    assert f"Fetching {TAG}, once:" in said and "licence: MIT" in said
    assert f"from {hub.url}/laion/CLIP-ViT-B-32-laion2B-s34B-b79K" in said
    assert "100%" in said and f"{hub.sent / 1e6:.1f}M" in said.replace(" ", "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    sent = hub.sent
    found = run("search", tmp_path / "a.lib", "a dog", "--sheet", tmp_path / "hits.png")
    assert found.exit_code == 0 and (tmp_path / "hits.png").is_file() and hub.sent == sent


def test_what_is_here_of_an_interrupted_download_is_told_and_not_fetched_again(hub, tmp_path):
    hub.stop_after = 2_000_000
    assert "cannot be downloaded" in sentence(run("models", "get", "vit-b-32"))
    hub.stop_after, hub.sent = None, 0
    got = run("models", "get", "vit-b-32")
    assert got.exit_code == 0 and "of which 2 MB are here" in got.stderr
    assert hub.sent == blob(tmp_path).stat().st_size - 2_000_000


def test_without_network_and_weights_the_message_has_commands_that_go_on(hub, tmp_path, weights):
    hub.shutdown()
    hub.server_close()
    library = tmp_path / "a lib"
    said = sentence(run("index", DOG, "--library", library, "--exclude", "*.txt"))
    again = f"unclip index {DOG} --library '{library}' --exclude '*.txt'"
    for way in ("--model vit-b-32 --source FOLDER", "--model pocket"):
        assert f"{again} {way}" in said
    folder = tmp_path / "from-elsewhere"
    folder.mkdir()
    shutil.copy(weights, folder)
    config = json.loads((POCKET / "open_clip_config.json").read_text()) | {"model_cfg": tiny()}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    taken = run("index", DOG, "--library", library, "--model", "vit-b-32", "--source", folder)
    assert taken.exit_code == 0, taken.output
    assert run("search", library, "a dog").exit_code == 0
    small = run("index", DOG, "--library", tmp_path / "b.lib", "--model", "pocket")
    assert small.exit_code == 0, small.output


@pytest.fixture
def named(hub, tmp_path):
    """A library of the default model, whose weights are in the cache."""
    assert run("index", DOG, "--library", tmp_path / "a.lib").exit_code == 0
    return tmp_path / "a.lib"


def test_a_library_starts_no_download(named, hub, tmp_path):
    shutil.rmtree(tmp_path / "cache")
    hub.sent, before = 0, set(tmp_path.rglob("*"))
    for words in (
        ("search", named, "a dog"),
        ("index", DOG, "--library", named),
        ("import", tmp_path / "v.npy", "--library", named),
    ):
        if words[0] == "import":
            import numpy as np

            np.save(tmp_path / "v.npy", np.ones((1, 256), np.float32))
        assert f"unclip models get {TAG}" in sentence(run(*words))
    assert hub.sent == 0 and not list((tmp_path / "cache").rglob("*.part")), before
    asked = run("index", DOG, "--library", named, "--model", "vit-b-32")
    assert asked.exit_code == 0 and hub.sent > 0, asked.output


def test_a_decoder_folder_starts_no_download(hub, tmp_path):
    folder = tmp_path / "decoder"
    folder.mkdir()
    space = {"name": TAG, "dimension": 256, "fingerprint": "0f"}
    (folder / "decoder.json").write_text(json.dumps({"sha256": {}, "model": TAG, "space": space}))
    words = ("decode", DOG, "--decoder", folder, "-o", tmp_path / "a.png")
    assert f"unclip models get {TAG}" in sentence(run(*words))
    assert hub.sent == 0


def test_other_weights_are_refused_before_they_are_loaded(named, tmp_path, monkeypatch):
    newest = next(iter(manifest.readable_manifests(named)))
    other = replace(newest.space, fingerprint="0f" * 32)
    manifest.write_manifest(named, replace(newest, version=newest.version + 1, space=other))
    loaded = []
    monkeypatch.setattr(open_clip, "load_checkpoint", lambda *given: loaded.append(given))
    assert "were not loaded" in sentence(run("search", named, "a dog"))
    with pytest.raises(SpaceMismatch, match="unclip models rm openclip:ViT-B-32"):
        _ = explorer.Library.open(named).encoder
    assert not loaded


def test_weights_that_changed_in_the_cache_are_refused_before_they_are_loaded(
    named, tmp_path, monkeypatch
):
    file = blob(tmp_path)
    state = load_file(file)
    state["text_projection"] += 1  # no part of the fingerprint, which is of the image tower
    save_file(state, file)
    loaded = []
    monkeypatch.setattr(open_clip, "load_checkpoint", lambda *given: loaded.append(given))
    assert "does not have the checksum" in sentence(run("search", named, "a dog"))
    assert not loaded


def test_a_part_that_is_loaded_on_first_use_keeps_the_word_of_its_model():
    with named_by("The library x"):
        later = kept(named_by_data)
    assert later() and not named_by_data()
    sooner = kept(named_by_data)
    with named_by("The library x"):
        assert not sooner() and named_by_data()


@pytest.mark.parametrize(
    "family", [pytest.param("kandinsky-2.2", marks=pytest.mark.slow), "stable-unclip"]
)
def test_parts_of_a_model_that_data_names_are_not_fetched_later(family, tmp_path, monkeypatch):
    import families

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    folder = families.WRITERS[family](tmp_path / "weights")
    with named_by("The recipe"):
        model = explorer.load(family, source=folder, device="cpu")
    if family == "stable-unclip":  # its words are those of an open_clip model
        with pytest.raises(WeightsMissing, match="unclip models get openclip:ViT-H-14"):
            model.encoder.encode_text("a cat")
    else:
        hub = replace_source(model.decoder)
        with pytest.raises(WeightsMissing, match=r"unclip models get kandinsky-2\.2:controlnet"):
            hub._check_option("hint", Image.new("RGB", (8, 8)))


def replace_source(decoder):
    """The same decoder, as if it had come from the hub."""
    decoder._source = ""
    return decoder


def test_short_names_know_the_repositories_of_open_clip():
    for short in SHORT_NAMES.values():
        architecture, tag = short.model.removeprefix("openclip:").split("/")
        assert open_clip.get_pretrained_cfg(architecture, tag)["hf_hub"] == f"{short.repository}/"
        text = open_clip.get_model_config(architecture)["text_cfg"]
        assert text.get("hf_tokenizer_name", "") == short.tokenizer
    assert openclip.releases("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k")[1].weights is False
