"""Released weights: fetched once, resumed, checked, found offline, and removed again."""

import errno
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fake_hub import commit_of, hub_of
from huggingface_hub import constants

from explorer.errors import DiskError, WeightsMissing
from explorer.models import MODELS
from explorer.models.shared.hub import Release, releases_of

LARGE = "unet/diffusion_pytorch_model.safetensors"

FILES = {
    "model_index.json": b"{}",
    "unet/config.json": b'{"a": 1}',
    LARGE: bytes(range(256)) * 8000,
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
    "unet/diffusion_pytorch_model.bin": b"a pickle",
    "vae/config.json": b"{}",
}
RELEASE = Release("some/thing", "main", ("model_index.json", "unet/*"), 2.0)


@pytest.fixture
def hub(tmp_path):
    with hub_of(dict(FILES), tmp_path) as server:
        yield server


def inside(folder):
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*.*")}


def test_a_release_is_fetched_without_pickles_and_then_found_offline(hub, monkeypatch):
    assert RELEASE.cached() is None
    folder = RELEASE.fetch("thing")
    assert folder.name == commit_of(RELEASE.repository)
    assert inside(folder) == {
        "model_index.json",
        "unet/config.json",
        LARGE,
    }
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert RELEASE.cached() == folder
    assert RELEASE.folder("thing") == folder


def test_an_interrupted_download_goes_on_where_it_stopped(hub):
    hub.stop_after = 1_000_000
    with pytest.raises(WeightsMissing, match="run: unclip models get thing"):
        RELEASE.fetch("thing")
    assert RELEASE.cached() is None
    hub.stop_after, hub.sent = None, 0
    folder = RELEASE.fetch("thing")
    assert (folder / LARGE).read_bytes() == FILES[LARGE]
    assert hub.sent < len(FILES[LARGE]) - 900_000


@pytest.mark.parametrize("where", ["large", "small"])
def test_a_full_disk_is_told_as_one(where, hub, monkeypatch):
    """What came before is kept; the sentence is about the disk, not about the network."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "large":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Release, "_snapshot", full)
        monkeypatch.setattr(Release, "_listed", lambda release: (release, [], "mit"))
    with pytest.raises(DiskError, match="No space left on device.*MB are free") as refused:
        RELEASE.fetch("thing")
    assert "network" not in str(refused.value)
    monkeypatch.undo()


UNPINNED = {  # repositories of which no commit is known, and why that is borne
    "sd2-community/stable-diffusion-2-1-unclip": "a mirror; decoders have the weights' checksum",
    "sd2-community/stable-diffusion-2-1-unclip-small": "the same",
}
RELEASED = [
    *(name for name in MODELS if name not in ("pocket", "openclip")),
    *("kandinsky-2.2:inpaint", "kandinsky-2.2:controlnet", "kandinsky-2.1:inpaint"),
    "ip-adapter-sdxl:vit-h",
]


@pytest.mark.parametrize("name", RELEASED)
def test_every_family_asks_for_a_commit(name):
    assert releases_of(name)
    for release in releases_of(name):
        pinned = re.fullmatch("[0-9a-f]{40}", release.revision)
        assert pinned or len(release.commit) >= 7 or release.repository in UNPINNED


def test_the_page_of_weights_lists_every_repository_with_its_commit_and_size():
    page = (Path(__file__).parents[1] / "docs/weights.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines()]
    listed = {(row[2], row[3], row[5]) for row in rows if len(row) == 9}
    for name in RELEASED[:-1]:  # the last is told below the table
        for release in releases_of(name):
            size = f"{release.megabytes / 1000:.1f}"
            assert (release.repository, release.at, size) in listed


def test_a_pull_request_that_moved_is_not_fetched(hub):
    known = commit_of(RELEASE.repository)
    assert replace(RELEASE, revision="refs/pr/2", commit=known[:7]).fetch("thing").is_dir()
    with pytest.raises(WeightsMissing, match=f"is at {known[:7]}, and was looked through at 2a0"):
        replace(RELEASE, revision="refs/pr/2", commit="2a0902e").fetch("thing")


@pytest.mark.parametrize("file", ["unet/config.json", LARGE])
def test_a_damaged_file_is_found_and_fetched_again(file, hub):
    hub.damage = file
    with pytest.raises(WeightsMissing, match=f"{file} .*was damaged"):
        RELEASE.fetch("thing")
    assert RELEASE.cached() is None
    hub.damage = None
    assert (RELEASE.fetch("thing") / file).read_bytes() == FILES[file]


def test_without_a_network_the_error_says_how_large_and_what_to_run(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsMissing, match=r"about 2 MB.*run: unclip models get thing"):
        RELEASE.folder("thing")


def test_a_release_without_safe_files_is_refused(hub):
    del hub.files[LARGE]
    with pytest.raises(WeightsMissing, match="no safetensors"):
        RELEASE.fetch("thing")


@pytest.mark.parametrize("safe", [True, False])
def test_a_pickle_is_taken_only_where_a_release_names_it_and_nothing_else_is_there(safe, hub):
    pickled = "unet/diffusion_pytorch_model.bin"
    release = Release("some/thing", "main", (LARGE,), 2.0, pickle=pickled)
    if not safe:
        del hub.files[LARGE]
    folder = release.fetch("thing")
    assert inside(folder) == {LARGE if safe else pickled}
    assert release.folder("thing") == folder


def test_a_tokenizer_is_a_release_without_weights(hub):
    folder = Release("some/words", "main", ("unet/config.json",), 1, weights=False).fetch("thing")
    assert inside(folder) == {"unet/config.json"}


def test_removed_weights_are_gone(hub):
    RELEASE.fetch("thing")
    assert RELEASE.remove() == pytest.approx(len(FILES[LARGE]) / 1e6, abs=0.01)
    assert RELEASE.cached() is None
    assert RELEASE.remove() == 0


def test_a_folder_of_ones_own_is_taken_if_it_is_in_the_layout(tmp_path):
    (tmp_path / "unet").mkdir()
    both = Release("some/thing", "main", ("unet/*", "vae/*"), 2.0)
    with pytest.raises(WeightsMissing, match="no folder vae. It needs unet, vae"):
        both.folder("thing", str(tmp_path))
    with pytest.raises(WeightsMissing, match="no folder"):
        both.folder("thing", str(tmp_path / "nowhere"))
    (tmp_path / "vae").mkdir()
    assert both.folder("thing", str(tmp_path)) == tmp_path
