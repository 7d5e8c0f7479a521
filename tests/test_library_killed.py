"""A kill at any moment of `moved` and `compact` leaves a whole library, of before or of after."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import coloured, image, run

from explorer import Library
from explorer.library import adding

WORKS = {
    "moved": "library.moved(base + '/images', base + '/new')",
    "compact": "library.compact()",
}
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import fakes, pandas, pyarrow.parquet, pyarrow.compute
from explorer.library import Library
base, work = sys.argv[2:4]
calls = 0
for point in ["all", *sys.argv[4:]]:
    if os.fork():
        os.wait()
        calls = calls or int(open(f"{base}/all.end").read())
        continue
    last = float(point) if point != "all" else 1e9
    last = round(last * calls) if "." in point else last
    count = 0
    def counted(real):
        def call(*arguments, **options):
            global count
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        return call
    library = Library.open(f"{base}/{point}.lib")
    for name in ("fsync", "replace", "link", "open", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    eval(work)
    open(f"{base}/{point}.end", "w").write(str(count))
    os._exit(0)
"""
SHARES = (0.1, 0.4, 0.8, 0.9, 0.95, 1.0, 9.0)  # of the calls of the work


def seen(library):
    """File name → what is stored of it."""
    rows = library.rows
    return {
        os.path.basename(path): (sha256, tag, library.vectors[i].tobytes())
        for i, (path, sha256, tag) in enumerate(
            zip(rows["path"], rows["sha256"], rows["tag"], strict=True)
        )
    }


def killed(tmp_path, images, encoder, monkeypatch, work, points):
    """Kill the work at each of these calls of the system, and return what is left each time."""
    monkeypatch.setattr(adding, "SEGMENT_ROWS", 3)
    template = Library.create(tmp_path / "whole.lib", coloured())
    run(template, images, encoder)
    (images / "0.png").write_bytes(image(50))
    run(template, images, encoder)
    template.set_columns({"tag": [os.path.basename(p).decode() for p in template.rows["path"]]})
    shutil.copytree(images, tmp_path / "new")
    for point in ("all", *points):
        shutil.copytree(template.folder, tmp_path / f"{point}.lib")
    tests, call = str(Path(__file__).parent), WORKS[work]
    command = [sys.executable, "-c", KILLED, tests, str(tmp_path), call, *map(str, points)]
    subprocess.run(command, check=True, timeout=120)
    return template, [tmp_path / f"{point}.lib" for point in points]


def check(template, folders, work):
    """Every library is whole, says what it said, and takes the work again; return the versions."""
    before, states = seen(template), {}
    base = str(template.folder.parent)
    for folder in folders:
        library = Library.open(folder)
        assert library.warnings == [] and library.verify(read_data=True) == []
        assert seen(library) == before
        info = library.info()
        states[folder.name.removesuffix(".lib")] = info["version"]
        if info["version"] == template.info()["version"]:
            eval(WORKS[work], {"library": library, "base": base})
            assert seen(Library.open(folder)) == before
            assert Library.open(folder).verify(read_data=True) == []
    return states


@pytest.mark.parametrize("work", ["moved", "compact"])
def test_a_kill_leaves_the_version_before_or_after(tmp_path, images, encoder, monkeypatch, work):
    template, folders = killed(tmp_path, images, encoder, monkeypatch, work, SHARES)
    ended = [share for share in SHARES if (tmp_path / f"{share}.end").exists()]
    assert ended == [9.0], "all others were killed"
    versions = check(template, folders, work)
    assert len({versions[folder.name.removesuffix(".lib")] for folder in folders[:-1]}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("work", ["moved", "compact"])
def test_a_kill_at_every_call(tmp_path, images, encoder, monkeypatch, work):
    points = list(range(1, 60))
    random.Random(0).shuffle(points)
    template, folders = killed(tmp_path, images, encoder, monkeypatch, work, points)
    assert any((tmp_path / f"{p}.end").exists() for p in points)
    assert len(set(check(template, folders, work).values())) == 2
