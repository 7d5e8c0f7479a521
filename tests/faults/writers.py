"""Every command that writes, run on a disk that refuses.

`python tests/faults/plan.py "disk refuses"` runs all of them on all disks.
"""

import os
import shutil
import time
import traceback
from dataclasses import dataclass, field

from typer.testing import CliRunner

from explorer.cli import unclip
from explorer.library import Library
from explorer.refusals import TEMPORARY

HANG_SECONDS = 120
OLD = b"what was here before"
IMAGE, OTHER = "1f431.png", "1f436.png"


@dataclass(frozen=True)
class Writer:
    """A command that writes.

    Args:
        words: what is typed; {place} is the folder on the disk that refuses, {inputs} one that is
            elsewhere, {library} a library in the latter and {kept} a copy of it in the former.
        target: the file that it writes in {place}; "" where it is {kept} or {place}/new.
        slow: whether it takes many seconds where the disk allows it to go on.
    """

    words: str
    target: str = ""
    slow: bool = False


def _decoding(words, target):
    return Writer(f"{words} -o {{place}}/{target} --steps 2", target)


_DIFF = "diff {inputs}/1f431.png --to dog --frames 2"
WRITERS = {
    "index, new": Writer("index {inputs}/images --library {place}/new --model pocket"),
    "index": Writer("index {inputs}/more --library {kept}"),
    "import, new": Writer(
        "import {inputs}/vectors.npy --library {place}/new --model pocket --force"
    ),
    "import": Writer("import {inputs}/vectors.npy --library {kept} --force"),
    "search --sheet": Writer("search {library} cat --sheet {place}/hits.png", "hits.png"),
    "trust": Writer("search {library} cat --trust {inputs}/images"),
    "export npy": Writer("export {library} -o {place}/a.npy", "a.npy"),
    "export parquet": Writer("export {library} -o {place}/a.parquet", "a.parquet"),
    "map html": Writer("map {library} -o {place}/a.html", "a.html"),
    "map png": Writer("map {library} -o {place}/a.png", "a.png"),
    "map parquet": Writer("map {library} -o {place}/a.parquet", "a.parquet"),
    "cluster": Writer("cluster {kept} --clusters 2"),
    "probe": Writer(
        "probe {kept} --positive {inputs}/1f431.png --positive {inputs}/1f436.png "
        "--negative {inputs}/images/flat/2600.png --negative {inputs}/images/flat/26c4.png"
    ),
    "forget": Writer("forget {kept} {source}"),
    "repair": Writer("repair {kept}"),
    "decode": _decoding("decode {inputs}/1f431.png", "a.png"),
    "invert": _decoding("invert {inputs}/1f431.png", "a.npz"),
    "inpaint": _decoding("inpaint {inputs}/1f431.png --box 10,10,20,20", "a.webp"),
    "diff mp4": _decoding(_DIFF, "a.mp4"),
    "diff gif": _decoding(_DIFF, "a.gif"),
    "diff webp": _decoding(_DIFF, "a.webp"),
    "diff webm": _decoding(_DIFF, "a.webm"),
    "diff png": _decoding(_DIFF, "a.png"),
    "walk": _decoding("walk {inputs}/1f431.png {inputs}/1f436.png --frames 2", "a.mp4"),
    "replay": Writer("replay {inputs}/decoded.png -o {place}/a.png", "a.png"),
    "demo": Writer("demo --out {place}/new", slow=True),
    "train decoder": Writer(
        "train decoder {large} -o {place}/new --minutes 0.05 --device cpu", slow=True
    ),
    "train prior": Writer(
        "train prior {large} -o {place}/new --minutes 0.05 --device cpu", slow=True
    ),
}


@dataclass
class Outcome:
    """What a command left behind where the disk refused."""

    code: int
    said: str
    seconds: float
    traceback: bool = False
    lost: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)

    @property
    def sentences(self):
        """Return the lines that say what failed."""
        lines = [line for line in self.said.splitlines() if line.startswith("unclip: ")]
        return [line for line in lines if not line.startswith("unclip: warning: ")]


def make_inputs(folder, images, library):
    """Put what the commands read into a folder: images, a library, vectors, a recipe."""
    shutil.copytree(images, folder / "images")
    shutil.copytree(library, folder / "library")
    (folder / "more").mkdir()
    for number, name in enumerate((IMAGE, OTHER)):
        shutil.copy(images / "flat" / name, folder / name)
        content = (images / "flat" / name).read_bytes()
        (folder / "more" / f"{number}.png").write_bytes(content + bytes(number + 1))
    for words in (
        "export {library} -o {inputs}/vectors.npy",
        "decode {inputs}/1f431.png -o {inputs}/decoded.png --steps 2",
    ):
        result = CliRunner().invoke(unclip, _typed(words, folder, folder))
        assert result.exit_code == 0, result.output
    return folder


def _typed(words, place, inputs, large=""):
    names = {"place": place, "inputs": inputs, "library": inputs / "library", "large": large}
    (source,) = Library.open(names["library"]).info()["sources"]
    return [word.format(**names, kept=place / "kept", source=source) for word in words.split()]


def run(name, fault, place, inputs, large=""):
    """Run a writer on a disk that refuses; return what it said, and what is not as it should be."""
    writer = WRITERS[name]
    kept = place / "kept"
    if "{kept}" in writer.words:
        shutil.copytree(inputs / "library", kept)
        if name == "repair":
            manifest = max(kept.glob("manifests/*.json"))
            manifest.with_name("99999999.json").write_bytes(b"{}")
    if writer.target:
        (place / writer.target).write_bytes(OLD)
    before, home = _contents(place), os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(place if name == "trust" else inputs)
    began = time.monotonic()
    try:
        with fault(place):
            result = CliRunner().invoke(unclip, _typed(writer.words, place, inputs, large))
    finally:
        os.environ.pop("XDG_CONFIG_HOME") if home is None else os.environ.update(
            XDG_CONFIG_HOME=home
        )
    outcome = Outcome(result.exit_code, result.stderr, time.monotonic() - began)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        outcome.traceback = True
        outcome.said += "".join(traceback.format_exception(result.exception))
    after = _contents(place)
    outcome.lost = [file for file in before if after.get(file) != before[file] and _lasts(file)]
    outcome.half = [file for file in after if TEMPORARY in file and file not in before]
    if writer.target or name == "trust":
        outcome.half += [file for file in after if file not in before]
    for folder in filter(lambda each: (each / "manifests").is_dir(), (kept, place / "new")):
        outcome.lost += _lost_rows(folder, inputs) if folder == kept else _damage(folder)
    return outcome


def _lasts(file):
    return not file.endswith(("/lock", "/99999999.json"))  # the latter is damage, to be repaired


def _contents(place):
    files = (file for file in place.rglob("*") if file.is_file())
    return {str(file.relative_to(place)): file.read_bytes() for file in files}


def _damage(folder):
    if not any((folder / "manifests").iterdir()):
        return []  # its creation was refused; the same command goes on from there
    return Library.open(folder).verify(read_data=True)


def _lost_rows(folder, inputs):
    bad = folder / "manifests" / "99999999.json"
    bad.unlink(missing_ok=True)
    rows, had = len(Library.open(folder)), len(Library.open(inputs / "library"))
    return _damage(folder) + ([f"{had - rows} rows"] if rows < had else [])
