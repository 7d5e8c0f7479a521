"""The plan of flipped bits: each is found, or the results are the same.

    PYTHONPATH=.:tests python tests/faults/flips.py [COUNT]

`run` returns a row of the table of faults for each kind of file: test, count, lost, silently
wrong, tracebacks, hangs.
"""

import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from damage import flip
from fakes import ColourEncoder, coloured, image

from explorer.errors import ExplorerError, LibraryDamaged, LibraryError
from explorer.library import Library, adding
from explorer.notes import collecting
from explorer.projection import FILE_NAME, Projection

SECONDS = 30  # after which a call hangs
IMAGES, SEGMENT_ROWS = 40, 10
FILES = {
    "vectors": "segments/*/vectors.npy",
    "rows": "segments/*/rows.parquet",
    "manifest": "manifests/*.json",
    "index": "cache/index-*",
    "map": f"cache/{FILE_NAME}",
}


class Row(NamedTuple):
    """What came of one kind of fault, in cases."""

    test: str
    count: int
    lost: int  # rows of undamaged segments that were not found
    silently_wrong: int
    tracebacks: int
    hangs: int


class Hang(BaseException):
    """A call took too long."""


@contextmanager
def no_hang():
    def stop(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make(folder):
    """A library of several segments and versions, with a saved index and a map."""
    images = folder / "images"
    images.mkdir(parents=True)
    for number in range(IMAGES):
        (images / f"{number:02d}.png").write_bytes(image(number))
    library = Library.create(folder / "library", coloured())
    usual, adding.SEGMENT_ROWS = adding.SEGMENT_ROWS, SEGMENT_ROWS
    try:
        library.add(images, encoder=ColourEncoder(), workers=0)
    finally:
        adding.SEGMENT_ROWS = usual
    library.save_index()
    places = np.random.default_rng(0).normal(size=(IMAGES, 2)).astype(np.float32)
    Projection(library.points(), places).save(library.cache_folder)
    return library.folder


def look(library):
    """What a person may see of it: rows, vectors, neighbours and the map, by file name."""
    names = list(library.rows["item"])
    points = library.points()
    hits = library.search_many(ColourEncoder().encode_text(["red", "green", "cat"]), 12)
    vectors = [vector.tobytes() for vector in points.vectors]
    return {
        "rows": dict(zip(names, vectors, strict=True)),
        "hits": [list(zip(hit.items, hit.scores.tolist(), strict=True)) for hit in hits],
        "map": places_of(library, points) if len(names) == IMAGES else [],
    }


def places_of(library, points):
    """The map that is kept, which is of all images; nothing if it is of other points."""
    try:
        return Projection.load(library.cache_folder, points).xy.tolist()
    except LibraryDamaged:
        raise
    except LibraryError:
        return []


def wrong(seen, truth):
    """Whether what is seen contradicts what was stored; rows that are left out do not."""
    rows = any(truth["rows"].get(name) != vector for name, vector in seen["rows"].items())
    scores = [dict(hits) for hits in truth["hits"]]
    hits = any(
        name in known and known[name] != score
        for known, found in zip(scores, seen["hits"], strict=True)
        for name, score in found
    )
    whole = len(seen["rows"]) == len(truth["rows"])
    return rows or hits or (whole and seen["map"] != truth["map"])


def once(folder, file, bit, truth):
    """Flip one bit, look, and put it back; what it came to, as in a Row."""
    before = file.read_bytes()
    flip(file, bit)
    counts = dict.fromkeys(("lost", "silently_wrong", "tracebacks", "hangs"), 0)
    try:
        with no_hang(), collecting() as notes:
            seen = look(Library.open(folder))
    except ExplorerError as error:
        counts["tracebacks"] += "\n" in str(error)
    except Hang:
        counts["hangs"] = 1
    except Exception:  # noqa: BLE001  what it counts
        counts["tracebacks"] = 1
    else:
        counts["silently_wrong"] += wrong(seen, truth) or (seen != truth and not notes)
        counts["lost"] += len(seen["rows"]) < len(truth["rows"]) - SEGMENT_ROWS
    finally:
        file.write_bytes(before)
    return counts


def run(count, folder=None, kinds=FILES):
    """Flip `count` bits of each kind of file, one after the other, in a library of their own."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        library = make(Path(place))
        kept = Path(shutil.copytree(library / "cache", Path(place) / "cache"))
        truth = look(Library.open(library))
        for kind in kinds:
            totals = dict.fromkeys(("lost", "silently_wrong", "tracebacks", "hangs"), 0)
            for _ in range(count):
                files = sorted(library.glob(FILES[kind]))
                file = files[-1] if kind == "manifest" else files[int(rng.integers(len(files)))]
                bit = int(rng.integers(file.stat().st_size * 8))
                for name, number in once(library, file, bit, truth).items():
                    totals[name] += number
                for cached in kept.iterdir():
                    shutil.copy(cached, library / "cache" / cached.name)
            yield Row(f"flips: {kind}", count, **totals)


if __name__ == "__main__":
    began = time.monotonic()
    print(*Row._fields, sep=" | ")
    for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else 100):
        print(*row, sep=" | ", flush=True)
    print(f"{time.monotonic() - began:.0f} s")
