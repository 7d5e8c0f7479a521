"""A warm search, filters and added rows, beside FAISS's Flat and HNSW32; seconds of CPU."""

import shutil
import sys

import search_growth
from comparing import Case

SIZES = {"small": "2000x64", "default": "100000x768", "full": "1000000x512"}
HNSW_ROWS = 100_000


def whos(size):
    few = int(size.partition("x")[0]) <= HNSW_ROWS
    return ["ours", "Flat", *["HNSW32"] * few]


def cases(size):
    rows = int(size.partition("x")[0])
    shape = f"{rows:,} × {size.partition('x')[2]}"
    hnsw = {"HNSW32": 1.0} if rows <= HNSW_ROWS else {}
    built = {f"{name}:build": 1.0 for name in hnsw}
    most, query = 1.9 if rows <= HNSW_ROWS else 5.0, {"Flat": 10.0, **hnsw}
    return [
        Case(f"one query, {shape}", "warm_ms", query, most, "ms", ("recall",)),
        *[Case(f"build, {shape}", "build", built, 3.0)] * bool(built),
        Case(f"open and first answer, {shape}", "open_and_first", {"Flat": 1.0}, 1.5),
        Case(f"filter to 1/7, {shape}", "filter_7_ms", {"ours:warm_ms": 0.5}, unit="ms"),
        Case(f"filter to 50, {shape}", "filter_50_ms", {"ours:warm_ms": 0.5}, unit="ms"),
        Case(f"1 % more and a search, {shape}", "add", {"ours:build": 1.0}, 2.0),
    ]


def prepare(folder, size):
    search_growth.write(folder / "work", *map(int, size.split("x")))


def measure(who, folder, _size):
    work, found = folder / "work", {}
    if who == "ours":
        shutil.rmtree(work / "ours", ignore_errors=True)  # the last round added rows
    for step in ("build", "measure"):
        command = [sys.executable, search_growth.__file__, "--work", str(work), "--stage"]
        found |= search_growth.in_one_thread([*command, who, step])
    return found
