"""What a repeated `unclip search LIB "words"` imports, by package: before and after a change.

    python benchmarks/import_tree.py LIB [--code NAME=FOLDER ...] [--rounds 5]

LIB is a library of pocket. Each --code is a checkout whose `explorer` is imported; by default, this
one. Milliseconds are the least of the rounds that `python -X importtime` gives to a package's own
modules, with bytecode on disk, as an installed package has it; seconds of CPU are of the command.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| *(\S+)")
WORDS, SHOWN = "a cat's face", 12


def imported(code, library, bytecode):
    """Search once: microseconds and modules by package, and seconds of CPU."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {
        "PYTHONPATH": str(Path(code).resolve()),
        "PYTHONPYCACHEPREFIX": bytecode,
        "OMP_NUM_THREADS": "1",
    }
    command = ["-m", "explorer", "search", "-l", str(library), WORDS]
    before = os.times()  # in another folder, since -m looks for modules where it is run
    subprocess.run([sys.executable, *command], env=env, check=True, capture_output=True, cwd="/")
    after = os.times()
    seconds = sum(after[2:4]) - sum(before[2:4])
    told = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        env=env, check=True, capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    spent, modules = collections.Counter(), collections.Counter()
    for line in told.stderr.splitlines():
        if found := LINE.match(line):
            package = found[2].partition(".")[0]
            package = "Python's own" if package in sys.stdlib_module_names else package
            spent[package] += int(found[1])
            modules[package] += 1
    return spent, modules, seconds


def least(rounds):
    """Return the least of every figure."""
    spent = {name: min(each[0].get(name, 0) for each in rounds) for name in rounds[0][0]}
    return spent, rounds[0][1], min(each[2] for each in rounds)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--code", nargs="+", default=[f"now={Path(__file__).parents[1]}"])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    codes = dict(code.split("=", 1) for code in given.code)
    rounds = {name: [] for name in codes}
    with tempfile.TemporaryDirectory() as bytecode:
        for number in range(given.rounds + 1):
            for name, code in codes.items():
                found = imported(code, given.library.resolve(), f"{bytecode}/{name}")
                rounds[name] += [found] * (number > 0)  # the first compiles
    told = {name: least(each) for name, each in rounds.items()}
    print("| package | " + " | ".join(f"{name}: ms | modules" for name in codes) + " |")
    print("|---" * (1 + 2 * len(codes)) + "|")
    spent = collections.Counter()
    for each, _, _ in told.values():
        spent.update(each)
    for package, _ in spent.most_common(SHOWN):
        cells = (f"{s.get(package, 0) / 1e3:.0f} | {m[package]}" for s, m, _ in told.values())
        print(f"| {package} | {' | '.join(cells)} |")
    totals = (f"{sum(s.values()) / 1e3:.0f} | {sum(m.values())}" for s, m, _ in told.values())
    print(f"| all | {' | '.join(totals)} |")
    seconds = (f"{each[2]:.2f} s | " for each in told.values())
    print(f"| the whole command, CPU | {' | '.join(seconds)} |")


if __name__ == "__main__":
    main()
