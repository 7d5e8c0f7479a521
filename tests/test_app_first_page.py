"""The first page: it comes before anything heavy is imported, which then loads by itself."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from explorer.app import state
from explorer.app.server import background, decoding, launch
from explorer.errors import WeightsMissing
from explorer.library import Library
from explorer.projection import Projection

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "open_clip", "diffusers", "umap", "sklearn", "matplotlib", "transformers")
SHOWN = """
import sys
sys.argv = ["script.py", *sys.argv[1:]]
from streamlit.testing.v1 import AppTest
from explorer.app import main
from explorer.app.server import launch
main.load_soon = lambda: None
page = AppTest.from_file(str(launch.SCRIPT), default_timeout=300).run()
assert not page.exception and not page.error and page.title[0].value == "Map", page
print(*[name for name in {heavy} if name in sys.modules])
"""

ENDED = """
import threading, torch
from explorer.app.server import background
started = threading.Event()
def load():
    product = torch.ones(1000, 1000, dtype=torch.float64)
    started.set()
    for _ in range(20):
        product = product @ product
    print("loaded")
background._load = load
background.load_soon()
started.wait()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory, pocket, sample):
    """Some sample images with a map, laid out without UMAP, whose import alone takes seconds."""
    library = Library.create(tmp_path_factory.mktemp("first") / "some.lib", pocket)
    images = sorted((sample / "noto").glob("*.png"))[:40]
    library.add(images, columns=sample / "captions.csv", workers=0)
    points = library.points()
    Projection(points, points.vectors[:, :2].copy()).save(library.cache_folder)
    return library


def shown(folder):
    """What the first page of a dashboard imports, in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-c", SHOWN.format(heavy=HEAVY), folder],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    return told.stdout.split()


def test_the_map_of_a_library_mapped_before_imports_no_network(library):
    """It took 7 s of processor time: pocket was loaded, and the map was clustered anew."""
    shown(library.folder)  # names the regions, which are kept
    assert shown(library.folder) == []


@pytest.fixture
def first_page(library, monkeypatch):
    """Run the first page of a server that has just started; its background thread."""
    for cached in (state.loaded_model, state.loaded_quietly, background.load_soon):
        cached.clear()
    monkeypatch.setattr(sys, "argv", ["script.py", str(library.folder)])
    AppTest.from_file(str(launch.SCRIPT), default_timeout=120).run()
    thread = background.load_soon()
    thread.join(120)
    assert not thread.is_alive()
    yield thread
    background.load_soon.clear()


def counted(monkeypatch, error=None):
    """Names of the threads in which models are loaded from now on."""
    threads, load = [], state.load

    def loading(*given, **named):
        threads.append(threading.current_thread().name)
        if error:
            raise error
        return load(*given, **named)

    monkeypatch.setattr(state, "load", loading)
    return threads


def test_the_model_is_loaded_in_the_background_and_once(monkeypatch, request):
    threads = counted(monkeypatch)
    request.getfixturevalue("first_page")
    assert state.model().decoder is not None
    assert threads == [background.THREAD]
    assert not decoding.result_cache().turn.locked()


def test_what_cannot_be_loaded_in_the_background_is_said_where_it_is_needed(monkeypatch, request):
    counted(monkeypatch, WeightsMissing("gone"))
    request.getfixturevalue("first_page")
    assert not decoding.result_cache().loading
    with pytest.raises(WeightsMissing, match="gone"):
        state.model()


def test_the_process_ends_well_while_the_model_loads():
    """Python ended the thread as it left torch, and the process with it (SIGABRT)."""
    told = subprocess.run(
        [sys.executable, "-c", ENDED],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (told.returncode, told.stdout) == (0, "loaded\n"), told.stderr[-2000:]
