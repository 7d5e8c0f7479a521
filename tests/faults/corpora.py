"""Corpora of images that others collected to break readers, indexed as a person would.

UNCLIP_CORPORA names a folder with one of each: pillow (Tests/images of python-pillow/Pillow),
pngsuite (lunapaint/pngsuite), seeds (libjpeg-turbo/seed-corpora). They are never part of this
repository.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from table import Row, Skipped

from explorer.images.formats import is_image
from explorer.library import Library

FOLDERS = {"Pillow": "pillow", "PngSuite": "pngsuite", "libjpeg-turbo": "seeds"}
LIMIT_MEGABYTES = 500  # beyond what an index of one small image takes
SECONDS_AN_IMAGE, SECONDS = 2, 240  # after which a run hangs
SAMPLE = Path(__file__).parents[2] / "explorer" / "sample" / "images" / "flat" / "1f436.png"


def collect(corpus, folder, count):
    """Copy files under names that are indexed, so that their content alone decides."""
    folder.mkdir()
    files = sorted(file for file in corpus.rglob("*") if file.is_file())
    files = files[:: -(-len(files) // count)]  # spread over all, where not all are asked for
    for number, file in enumerate(files):
        suffix = file.suffix.lower() if is_image(file.name) else ".png"
        shutil.copy(file, folder / f"{number:05d}{suffix}")
    return len(files)


def index(folder, library, seconds):
    """Index in one process; exit code (None: it hung), what was said, MB at its peak."""
    words = ["index", folder, "--library", library, "--model", "pocket", "--workers", "0"]
    command = [sys.executable, "-m", "explorer", *map(str, words)]
    measure = (
        "import resource, subprocess, sys\n"
        "try: code = subprocess.run(sys.argv[2:], timeout=float(sys.argv[1])).returncode\n"
        "except subprocess.TimeoutExpired: code = None\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measure, str(seconds), *command], capture_output=True, text=True
    )
    code, megabytes = done.stdout.splitlines()[-1].split()
    # Without workers, the reader is the process that is measured, and its death ends the command.
    return None if code == "None" else int(code), done.stderr, float(megabytes)


def measure(name, corpus, count):
    """Index a corpus; every file becomes a row or an error with its reason."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "idle").mkdir()
        shutil.copy(SAMPLE, root / "idle")
        _, _, idle = index(root / "idle", root / "idle.lib", SECONDS)
        files = collect(corpus, root / "images", count)
        seconds = SECONDS + SECONDS_AN_IMAGE * files
        code, said, peak = index(root / "images", root / "library", seconds)
        library = Library.open(root / "library")
        reasons = list(map(str, library.errors["reason"]))
        deaths = int(code is not None and code < 0)
        damage = library.verify(read_data=True)
        lost = files - len(library) - len(reasons)
    over = peak - idle
    note = (
        f"{len(reasons)} files were refused, each with its reason; {deaths} process deaths; "
        f"{max(0, over):.0f} MB over the index of one small image"
    )
    broken = code not in (0, 3, None) or over > LIMIT_MEGABYTES
    note += f"; ended with {code}: {said[-500:]}" if broken else ""
    tracebacks = ("Traceback" in said) + deaths + broken
    return Row(f"corpus: {name}", files, lost, len(damage), tracebacks, int(code is None), note)


def run(count, name):
    """Index `count` files of one of the corpora."""
    corpora = os.environ.get("UNCLIP_CORPORA")
    corpus = Path(corpora or "/") / FOLDERS[name]
    if not corpora or not corpus.is_dir():
        raise Skipped(f"UNCLIP_CORPORA names no folder with {FOLDERS[name]}/ in it")
    yield measure(name, corpus, count)
