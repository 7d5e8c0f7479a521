"""The full plan of faults: every row in a process of its own, as a table.

    make test-faults                                        # all of it, into faults.md
    .venv/bin/python tests/faults/plan.py kills flips       # the rows whose names have these words
    .venv/bin/python tests/faults/plan.py --count 3         # smaller counts

Peak memory is that of the row's largest process (ru_maxrss). UNCLIP_CORPORA names a folder with
corpora of images, a folder each. The exit code is 1 if anything but zeros was found.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from table import Row, Skipped, cells, markdown

ROOT = Path(__file__).parents[2]
HOMES = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "TORCH_HOME", "MPLCONFIGDIR")
PATHS = (ROOT, ROOT / "tests", ROOT / "tests" / "faults")
MEGABYTE = 1024  # of ru_maxrss, which is in KiB, on Linux


class Entry(NamedTuple):
    """One row: `run(count, *arguments)` of a module yields it."""

    module: str
    count: int
    arguments: tuple[str, ...] = ()


KINDS = ("vectors", "rows", "manifest", "index", "map")
DISKS = ("no permission", "limit", "full", "read-only")
COMMANDS = ("index", "search", "diff", "export", "map", "train")
CORPORA = ("Pillow", "PngSuite", "libjpeg-turbo")
PLAN = {
    "kills": Entry("kills", 200),
    **{f"kills at every call: {work}": Entry("known_rows", 60, ("killed", work)) for work in
       ("moved", "compact")},
    "power cuts": Entry("power_cuts", 100),
    **{f"flips: {kind}": Entry("known_rows", 100, ("flipped", kind)) for kind in KINDS},
    **{f"disk refuses: {kind}": Entry("known_rows", 99, ("refused", kind)) for kind in DISKS},
    **{f"failing calls: {error}": Entry("failing_calls", 99, (error,)) for error in
       ("EIO", "ENOSPC")},
    **{f"interrupts: {name}": Entry("known_rows", 12, ("interrupted", name)) for name in COMMANDS},
    "forged recipes": Entry("handed_in", 999, ("recipes",)),
    "hostile configurations": Entry("handed_in", 999, ("configurations",)),
    **{f"corpora: {name}": Entry("corpora", 9999, (name,)) for name in CORPORA},
}  # fmt: skip


def environment(home):
    """That of a row: no network, one thread, a home folder of its own."""
    values = dict.fromkeys(HOMES, str(home)) | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return os.environ | values | {"PYTHONPATH": os.pathsep.join(map(str, PATHS))}


def measured(name, count=None):
    """Measure one row of the plan in a process of its own; return it with its peak memory in MB."""
    count = count or PLAN[name].count
    row, megabytes = row_of([__file__, "--row", name, "--count", str(count)])
    return row._replace(test=row.test or name), megabytes


def row_of(words):
    """The row that Python, given these words, prints; and the MB of its largest process."""
    with (
        tempfile.TemporaryDirectory(prefix="unclip-faults-") as home,
        tempfile.TemporaryFile("w+") as output,
    ):
        command, environ = [sys.executable, *words], environment(home)
        child = subprocess.Popen(command, stdout=output, env=environ, cwd=ROOT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        lines = [line for line in output.read().splitlines() if line.startswith("ROW ")]
    if child.returncode or len(lines) != 1:
        return Row("", 1, tracebacks=1, note=f"the row itself ended with {child.returncode}"), 0.0
    return Row(*json.loads(lines[0][4:])), used.ru_maxrss / MEGABYTE


def print_row(name, count):
    """Measure a row in this process."""
    entry = PLAN[name]
    try:
        (row,) = importlib.import_module(entry.module).run(count, *entry.arguments)
    except Skipped as reason:
        row = Row(name, 0, note=f"not run: {reason}")
    print("ROW", json.dumps(row))


def table(names, count, output):
    """Measure these rows, one after the other, and write the table after each."""
    date = datetime.now(UTC).date().isoformat()
    heading = f"Measured on {date} by `make test-faults`:"
    if count or len(names) < len(PLAN):
        heading = f"Measured on {date}, a part of the plan:"
    found = []
    for name in names:
        found.append(measured(name, count and min(count, PLAN[name].count)))
        output.write_text(markdown(found, heading))
        print(cells(*found[-1]), *filter(None, [found[-1][0].note]), sep="\n  ", flush=True)
    print(output.read_text())
    return sum(row.faults for row, _ in found)


def main():
    """Print and write the table; exit with 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="Rows whose names have one of these words.")
    parser.add_argument("--count", type=int, help="At most so many cases a row.")
    parser.add_argument("--row", help="Measure this row here, and print it as JSON.")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "faults.md")
    given = parser.parse_args()
    if given.row:
        print_row(given.row, given.count)
        return
    names = [n for n in PLAN if not given.words or any(word in n for word in given.words)]
    sys.exit(bool(table(names, given.count, given.output)))


if __name__ == "__main__":
    main()
