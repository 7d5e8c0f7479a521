"""Ours beside what people would take instead, in turn, in fresh processes: `make bench`.

    python benchmarks/bench.py [ROW …] [--size small|default|full] [--pairs 3] [--docs docs]

Rows are the modules of benchmarks/rows/; without names, all. Writes the table into
docs/benchmarks.md, and bench.json and bench.svg beside it. Rows that are not run, and other sizes
of a row, keep the figures that bench.json has of them.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path

from comparing import HERE, compared, machine, plot, rounds_of, table

MARKS = ("<!-- bench: written by `make bench` -->", "<!-- /bench -->")
ROWS = sorted(file.stem for file in (HERE / "rows").glob("*.py"))


def row_named(name):
    """Import a row's module."""
    return importlib.import_module(f"rows.{name}")


def run(name, size, pairs, work=None):
    """Measure one row; its lines of the table."""
    row = row_named(name)
    chosen = row.SIZES[size]
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=work) as folder:
        row.prepare(Path(folder), chosen)
        rounds = rounds_of(name, row.whos(chosen), folder, chosen, pairs)
    return [compared(case, rounds) for case in row.cases(chosen)]


def key(name, size):
    """Return where the figures of a row are kept: a size of its own has a place of its own."""
    row = row_named(name)
    return name if row.SIZES[size] == row.SIZES["default"] else f"{name}, {size}"


def document(docs, found):
    """Write all lines that are known as table, JSON and plot."""
    lines = [line for name in sorted(found) for line in found[name]["lines"]]
    told = found[max(found)]["machine"]
    facts = [
        f"{name}: pairs {found[name]['pairs']}, {found[name]['minutes']:.0f} min, "
        f"load {found[name]['machine']['load']:g}{_elsewhere(found[name]['machine'], told)}"
        for name in sorted(found)
    ]
    amx = "with" if told["amx"] else "without"
    about = (
        f"{told['processor']} {amx} AMX, {told['cores']} cores, torch {told['torch']}, threads "
        f"{told['threads']}. {'; '.join(facts)}."
    )
    (docs / "bench.json").write_text(json.dumps(found, indent=1) + "\n")
    plot(lines, docs / "bench.svg")
    page = docs / "benchmarks.md"
    text = page.read_text()
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    body = f"\n{table(lines)}\n\n{about}\n\n![Times as fast as each peer](bench.svg)\n\n"
    page.write_text(before + MARKS[0] + "\n" + body + MARKS[1] + after)


def _elsewhere(machine, told):
    """Return the processor of a row that ran on another than the one that is told."""
    other = machine["processor"] != told["processor"]
    return f", on {machine['processor']}" if other else ""


def main():
    """Run the rows and write what was found after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--size", choices=["small", "default", "full"], default="default")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs")
    parser.add_argument("--work", type=Path, help="where data are written; default: the system's")
    parser.add_argument("--stage", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        name, who, folder, size = given.stage
        row = row_named(name)
        kind = type(row.SIZES["default"])
        print("\n" + json.dumps(row.measure(who, Path(folder), kind(size))))
        return
    if wrong := set(given.rows) - set(ROWS):
        sys.exit(f"There is no row {min(wrong)!r}. The rows are {', '.join(ROWS)}.")
    file = given.docs / "bench.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    for name in given.rows or ROWS:
        began = time.monotonic()
        lines = run(name, given.size, given.pairs, given.work)
        minutes = (time.monotonic() - began) / 60
        told = {"size": given.size, "pairs": given.pairs, "minutes": round(minutes, 1)}
        found[key(name, given.size)] = told | {"machine": machine(), "lines": lines}
        print(f"{name} ({minutes:.1f} min)\n{table(lines)}\n", flush=True)
        document(given.docs, found)


if __name__ == "__main__":
    main()
