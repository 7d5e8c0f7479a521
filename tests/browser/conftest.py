"""A real Chromium, and dashboards to open in it: nothing it asks for may leave this machine."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
IMAGES = Path(os.environ.get("UNCLIP_SCREENSHOTS", ROOT / "build" / "screenshots"))
FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
STARTING = 120  # seconds
# On a page's own address Streamlit first looks for its server below it, and is told 404.
PROBES = re.compile(r"/\w+/_stcore/(health|host-config)$")
IMAGE = re.compile(r"/media/\w+\.\w+")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def serving(script, *words):
    """Serve a Streamlit script in a process of its own; give its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", script, f"--server.port={port}"]
    command += ["--server.address=127.0.0.1", "--server.headless=true"]
    command += ["--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    command += ["--client.toolbarMode=minimal", "--client.showErrorDetails=none"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen([*command, "--", *map(str, words)], env=environment, cwd=ROOT)
    try:
        until = time.monotonic() + STARTING
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, "the server ended before it answered"
                assert time.monotonic() < until, f"the server did not answer in {STARTING} s"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, on its software renderer."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium")
    assert found, "there is no chromium here; install it: apt-get install -y chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def standing(problems, pages):
    """The problems but for images that came late, when Streamlit had shown others in their place.

    A rerun takes the images of the run before from the server; a browser that is slow may still be
    asking for them.
    """
    shown = "() => [...document.images].map((image) => image.src)"
    sources = [source for page in pages for source in page.evaluate(shown)]

    def came_late(problem):
        image = IMAGE.search(problem)
        return image and not any(source.endswith(image[0]) for source in sources)

    return [problem for problem in problems if not came_late(problem)]


@pytest.fixture
def open_window(chromium):
    """Open windows; at the end of the test, none may have met an error or another machine."""
    problems, contexts = [], []

    def heard(message):
        if message.type == "error" and not PROBES.search(message.location["url"]):
            problems.append(f"console: {message.text} {message.location['url']}")

    def watch(page):
        page.on("console", heard)
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        page.on("request", lambda request: _local(request.url) or problems.append(request.url))

    def open_one(width=1280, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.set_default_timeout(60_000)
        return page

    yield open_one
    met = standing(problems, [page for context in contexts for page in context.pages])
    for context in contexts:
        context.close()
    assert met == []


@pytest.fixture
def source_window(open_window):
    """A window that can import the component's own files from /source/; no server, no map."""
    folder = ROOT / "explorer" / "app" / "map" / "scatter" / "source"

    def answer(route):
        path = urlsplit(route.request.url).path
        if path == "/":
            return route.fulfill(body="<h1>Map</h1>", content_type="text/html")
        text = (folder / path.removeprefix("/source/")).read_text("utf-8")
        return route.fulfill(body=text, content_type="text/javascript")

    window = open_window()
    window.route("http://127.0.0.1:9/**", answer)
    window.goto("http://127.0.0.1:9/")
    return window


def _local(address):
    parts = urlsplit(address)
    return parts.scheme in ("data", "blob", "file") or parts.hostname == "127.0.0.1"


@pytest.fixture
def keep():
    """Keep an image of a window, to be looked at."""
    IMAGES.mkdir(parents=True, exist_ok=True)

    def take(page, name):
        settled(page)
        page.screenshot(path=IMAGES / f"{name}.png")

    return take


def settled(page):
    """Wait until the script has run to its end, and what it sent is drawn."""
    page.wait_for_timeout(300)
    page.wait_for_selector("[data-testid=stStatusWidget]", state="detached")
    page.wait_for_selector("[data-test-script-state=running]", state="detached")
    page.wait_for_timeout(300)


@pytest.fixture(scope="session")
def library(tmp_path_factory, pocket, sample):
    """A library of two styles of the sample images, with its map."""
    from explorer.library import Library
    from explorer.projection import Projection

    library = Library.create(tmp_path_factory.mktemp("browser") / "some.lib", pocket)
    images = [f for style in ("noto", "flat") for f in sorted((sample / style).glob("*"))[:150]]
    library.add(images, columns=sample / "captions.csv", workers=0)
    Projection.cached(library.cache_folder, library.points())
    return library


@pytest.fixture(scope="session")
def dashboard(library):
    """The address of the whole dashboard over that library."""
    with serving(ROOT / "streamlit_app.py", library.folder) as address:
        yield address


@pytest.fixture(scope="session")
def bare_dashboard(bare):
    """The address of the dashboard over a library whose model has no decoder."""
    with serving(ROOT / "streamlit_app.py", bare) as address:
        yield address


@pytest.fixture
def visit(open_window, dashboard):
    """Open a page of the dashboard by its address."""
    return _going(open_window, dashboard)


@pytest.fixture
def bare_visit(open_window, bare_dashboard):
    """Open a page of the dashboard where nothing decodes."""
    return _going(open_window, bare_dashboard)


def _going(open_window, dashboard):
    def go(address, **options):
        window = open_window(**options)
        window.goto(f"{dashboard}/{address}")
        window.locator("h1").wait_for()
        return window

    return go


def offered(window):
    """Wait until a result stands there, ready to be taken away."""
    window.get_by_role("button", name="Copy as command").last.wait_for(timeout=120_000)
    settled(window)
