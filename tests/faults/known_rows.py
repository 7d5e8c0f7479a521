"""Rows whose faults other modules bring about: flips, interrupts, disks that refuse, kills."""

import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import disks
import flips
import interrupting
import pytest
import writers
from fakes import ColourEncoder, image
from table import Row, Skipped
from typer.testing import CliRunner

import explorer
from explorer.cli import unclip

SAMPLE = Path(explorer.__file__).parent / "sample" / "images"


def flipped(count, kind):
    """Flip `count` bits of a kind of file of a library."""
    (row,) = flips.run(count, kinds=[kind])
    return Row(*row)


def interrupted(count, name):
    """Interrupt a command `count` times."""
    with tempfile.TemporaryDirectory() as place:
        folder, images = Path(place), SAMPLE / "flat"
        library = explorer.Library.create(folder / "made.lib", explorer.load("pocket"))
        library.add([images], workers=0)
        if name == "index":
            row = interrupting.interrupt_index(count, folder, images)
        elif name == "train":
            row = interrupting.interrupt_training(count, folder, library.folder)
        else:
            row = interrupting.interrupt_command(name, count, folder, library.folder)
    note = f"{row.count - row.finished} ended by it, the slowest in {row.slowest:.1f} s"
    note = "; ".join([note, *(said[-500:] for said in row.said)])
    numbers = (row.count, row.lost, row.wrong, row.tracebacks, row.hangs)
    return Row(f"interrupts of {row.test}", *numbers, note)


def writer_inputs(root):
    """What the writers read, and a library that is large enough for training."""
    images, library = root / "few", root / "library"
    for style in ("3d", "flat"):
        (images / style).mkdir(parents=True)
        for file in sorted((SAMPLE / style).glob("1f4*.png"))[:40]:
            shutil.copy(file, images / style)
        for name in (writers.IMAGE, writers.OTHER, "2600.png", "26c4.png"):
            shutil.copy(SAMPLE / style / name, images / style)
    shutil.copy(SAMPLE / "captions.csv", images)
    indexing = ["index", str(images), "--library", str(library), "--model", "pocket"]
    assert CliRunner().invoke(unclip, indexing).exit_code == 0
    (root / "inputs").mkdir()
    return writers.make_inputs(root / "inputs", images, library), str(library)


def refused(count, kind):
    """Run `count` commands that write, each on a disk that refuses in this way."""
    if kind not in disks.faults():
        raise Skipped("only root may mount a disk")
    fault, names, found = disks.faults()[kind], list(writers.WRITERS)[:count], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        inputs, library = writer_inputs(root)
        for number, name in enumerate(names):
            place = root / f"disk-{number}"
            place.mkdir()
            own = fault in (disks.full, disks.read_only)
            with disks.tmpfs(place) if own else nullcontext():
                found.append(writers.run(name, fault, place, inputs, library))
    good = [each.code == 2 and len(each.sentences) == 1 and not each.half for each in found]
    said = [f"{n}: {each}" for n, each, ok in zip(names, found, good, strict=True) if not ok]
    return Row(
        f"every command that writes, disk: {kind}",
        len(found),
        sum(len(each.lost) for each in found),
        len(good) - sum(good),
        sum(each.traceback for each in found),
        sum(each.seconds > writers.HANG_SECONDS for each in found),
        "; ".join(said)[:1000],
    )


def killed(count, work):
    """Kill `moved` or `compact` of a library at each of the first `count` calls of the system."""
    import test_library_killed as kills

    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        folder, images = Path(place), Path(place) / "images"
        (images / "more").mkdir(parents=True)
        for number in range(8):
            part = "more" if number > 5 else "."
            (images / part / f"{number}.png").write_bytes(image(number))
        points = list(range(1, count + 1))
        template, folders = kills.killed(folder, images, ColourEncoder(), patch, work, points)
        died = [each for each in folders if not each.with_suffix(".end").exists()]
        wrong, said = 0, []
        for each in died:
            try:
                kills.check(template, [each], work)
            except Exception as error:  # noqa: BLE001  what it counts
                wrong += 1
                said.append(f"call {each.stem}: {error!r}"[:300])
    return Row(f"kill -9 of {work}, at every call", len(died), 0, wrong, note="; ".join(said))


def run(count, what, kind):
    yield getattr(sys.modules[__name__], what)(count, kind)
