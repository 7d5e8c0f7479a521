"""What all tests share: no network, caches of their own, one thread a worker, and pocket."""

import os
import pathlib
import shutil
import socket
import tempfile
import threading

if "PYTEST_XDIST_WORKER" in os.environ:  # before anything imports numpy or torch
    for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_variable, "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from fakes import ColourEncoder, coloured, image
from hypothesis import settings

import explorer
from explorer.priority import policies

settings.register_profile("seeded", derandomize=True, deadline=None)
settings.load_profile("seeded")

HOMES = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "TORCH_HOME", "MPLCONFIGDIR")
LOCAL = {"localhost", "127.0.0.1", "::1"}


def pytest_configure(config):
    """Give the whole run a home folder; workers inherit it from the process that starts them."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    home = tempfile.mkdtemp(prefix="unclip-tests-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ.update(dict.fromkeys(HOMES, home))
    os.environ.pop("UNCLIP_LIBRARY", None)


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    """Fail every test that reaches for another machine; libraries cannot swallow this failure."""
    connect = socket.socket.connect

    def local_only(self, address):
        if self.family != socket.AF_UNIX and address[0] not in LOCAL:
            pytest.fail(f"a test tried to reach {address}; tests work offline")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        patch.setattr(socket.socket, "connect_ex", local_only)
        yield


@pytest.fixture(autouse=True)
def _same_priority():
    """Fail a test that leaves its thread in real time, where it starves all others."""
    before = policies().get(threading.get_native_id())
    yield
    assert policies().get(threading.get_native_id()) == before


@pytest.fixture(scope="session")
def pocket():
    """The model that ships with the package, on the CPU."""
    return explorer.load("pocket", device="cpu")


@pytest.fixture(scope="session")
def sample():
    """The folder of sample images that ships with the package."""
    return pathlib.Path(explorer.__file__).parent / "sample" / "images"


EMOJI = ("1f431", "1f436", "1f600", "1f468-200d-1f33e", "1f469-200d-1f33e", "2600", "26c4")


@pytest.fixture(scope="session")
def emoji_images(sample, tmp_path_factory):
    """Seven emoji in two styles, with their captions."""
    folder = tmp_path_factory.mktemp("emoji")
    for style in ("3d", "flat"):
        (folder / style).mkdir()
        for glyph in EMOJI:
            shutil.copy(sample / style / f"{glyph}.png", folder / style)
    shutil.copy(sample / "captions.csv", folder)
    return folder


@pytest.fixture(scope="session")
def emoji(emoji_images, pocket, tmp_path_factory):
    """A library of them; a test that changes it takes a copy."""
    library = explorer.Library.create(tmp_path_factory.mktemp("made") / "emoji.lib", pocket)
    library.add([emoji_images], workers=0)
    return library.folder


@pytest.fixture(scope="session")
def bare(emoji_images, tmp_path_factory):
    """A library of the same images whose CLIP, pocket's in a folder of open_clip, decodes none."""
    place = tmp_path_factory.mktemp("bare")
    weights = pathlib.Path(explorer.__file__).parent / "weights" / "pocket"
    (place / "clip").mkdir()
    for name in ("open_clip_config.json", "open_clip_model.safetensors", "bpe.txt.gz"):
        shutil.copy(weights / name, place / "clip")
    model = explorer.load(f"openclip:{place / 'clip'}", device="cpu")
    library = explorer.Library.create(place / "bare.lib", model)
    library.add([emoji_images], workers=0)
    return library.folder


@pytest.fixture
def encoder():
    """The colour encoder of fakes, which counts what it embeds."""
    return ColourEncoder()


@pytest.fixture
def images(tmp_path):
    """Eight small images, 0.png to 7.png; the last two lie in the folder `more`."""
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    for number in range(8):
        (folder / ("more" if number > 5 else ".") / f"{number}.png").write_bytes(image(number))
    return folder


@pytest.fixture
def library(tmp_path):
    """An empty library of the colour encoder."""
    return explorer.Library.create(tmp_path / "library", coloured())
