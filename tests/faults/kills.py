"""`unclip index` is killed at random moments: nothing that it acknowledged may be lost.

PYTHONPATH=.:tests python tests/faults/plan.py kills
"""

import os
import random
import shutil
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas  # noqa: F401  imported once, not in every copy
import pyarrow.compute
import pyarrow.parquet  # noqa: F401
from forks import Fork, call
from table import Row

from explorer import load
from explorer.cli import unclip
from explorer.errors import LibraryNotFound
from explorer.library import Library, adding
from explorer.library.store import Store

SAMPLE = Path(__file__).parents[2] / "explorer" / "sample" / "images" / "flat"
IMAGES, SEGMENT_ROWS = 48, 4


def index(say, images, library):
    """Index a folder, a few rows a version; report the rows whenever a version is acknowledged."""
    commit = Store.commit

    def acknowledged(store, *arguments, **options):
        commit(store, *arguments, **options)
        say(store.manifest.rows)

    Store.commit, adding.SEGMENT_ROWS = acknowledged, SEGMENT_ROWS
    words = ("index", images, "--library", library, "--model", "pocket", "--workers", "0")
    unclip([str(word) for word in words])


def stored(library):
    """Name → vector of every row, how many names there are twice, and what is damaged."""
    try:
        opened = Library.open(library)
    except LibraryNotFound:
        return {"rows": {}, "doubled": 0, "damage": []}
    names = list(map(str, opened.rows["item"]))
    vectors = np.asarray(opened.vectors).tolist()
    damage = opened.verify(read_data=True) + list(opened.warnings)
    rows = dict(zip(names, vectors, strict=True))
    return {"rows": rows, "doubled": len(names) - len(rows), "damage": damage}


class Disturbed:
    """A library that is indexed and disturbed, again and again.

    Args:
        images: a folder.
        library: where it is made.
        truth: name → vector, of an undisturbed run.
    """

    def __init__(self, images, library, truth):
        self.images, self.library, self.truth = images, library, truth
        self.counts, self.notes = Counter(), []
        self.began = time.monotonic()

    def once(self, chance, seconds, disturb):
        """Index, and disturb it after a random number of acknowledged versions.

        Args:
            seconds: those to the first version, and those between two.
            disturb: is given the running copy, and ends it.
        """
        copy = Fork(index, self.images, self.library)
        versions = chance.randrange(IMAGES // SEGMENT_ROWS)
        on = copy.wait_for(versions)
        on = on and copy.listen(chance.uniform(0, seconds[min(versions, 1)]))
        if on:
            disturb(copy)
        code = copy.end()
        self.counts["hangs"] += copy.hung
        self.counts["disturbed"] += on
        self.counts["after a version"] += on and bool(copy.said)
        if "Traceback" in copy.printed or (not on and code):
            self.counts["tracebacks"] += 1
            self.notes.append(copy.printed[-500:])
        return copy.said[-1] if copy.said else 0

    def check(self, acknowledged):
        """Count what is lost, wrong or doubled; make a new library once all images are in it."""
        try:
            found = call(stored, str(self.library))
        except RuntimeError as error:
            self.counts["wrong"] += 1
            self.notes.append(str(error)[-500:])
            shutil.rmtree(self.library)
            return
        rows = found["rows"]
        unequal = [name for name, vector in rows.items() if not self.is_true(name, vector)]
        self.counts["lost"] += max(0, acknowledged - len(rows))
        self.counts["wrong"] += len(unequal) + found["doubled"] + bool(found["damage"])
        if unequal or found["doubled"] or found["damage"]:
            self.notes.append(f"{unequal} {found['doubled']} {found['damage']}"[:500])
        if len(rows) == len(self.truth):
            self.counts["whole"] += 1
            shutil.rmtree(self.library)

    def is_true(self, name, vector):
        return name in self.truth and np.allclose(vector, self.truth[name], atol=1e-3)

    def finish(self):
        """Let the last run end: all rows must be there, each once."""
        copy = Fork(index, self.images, self.library)
        self.counts["tracebacks"] += bool(copy.end())
        self.check(len(self.truth))

    @property
    def has_time(self):
        """Whether the row may go on: UNCLIP_FAULTS_SECONDS bounds it, and then its count."""
        return time.monotonic() - self.began < float(os.environ.get("UNCLIP_FAULTS_SECONDS", "inf"))

    def row(self, test):
        counts = self.counts
        note = (
            f"{counts['after a version']} of {counts['disturbed']} came after the first version "
            f"was acknowledged; {counts['whole']} libraries were completed"
        )
        return Row(
            test,
            counts["disturbed"],
            counts["lost"],
            counts["wrong"],
            counts["tracebacks"],
            counts["hangs"],
            "; ".join([note, *self.notes[:5]]),
        )


@contextmanager
def undisturbed():
    """A folder of images, what an undisturbed run stores of it, and how long a version takes."""
    load("pocket", device="cpu")  # what it imports is then there in every copy
    with tempfile.TemporaryDirectory() as place:
        images, library = Path(place) / "images", Path(place) / "whole.lib"
        images.mkdir()
        for file in sorted(SAMPLE.glob("*.png"))[:IMAGES]:
            shutil.copy(file, images)
        began = time.monotonic()
        copy = Fork(index, images, library)
        copy.wait_for(1)
        first = time.monotonic() - began
        assert copy.end() == 0, copy.printed
        each = (time.monotonic() - began - first) / max(1, len(copy.said) - 1)
        truth = call(stored, str(library))["rows"]
        assert len(truth) == IMAGES and len(copy.said) >= IMAGES // SEGMENT_ROWS, copy.said
        yield images, truth, (first, each)


def run(count, seed=0):
    """Kill `count` runs; every killed library is indexed on by the next."""
    chance = random.Random(seed)
    with undisturbed() as (images, truth, seconds):
        cut = Disturbed(images, images.parent / "cut.lib", truth)
        while cut.counts["disturbed"] < count and cut.has_time:
            cut.check(cut.once(chance, seconds, Fork.kill))
        cut.finish()
    yield cut.row("kill -9 of index")
