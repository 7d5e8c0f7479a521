"""The harness of `make bench` on figures that are known, and every row at its smallest size."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

bench, comparing, scale_paper = map(importlib.import_module, ("bench", "comparing", "scale_paper"))
Case = comparing.Case


def benchmark(name, *words):
    """Run a command of benchmarks/ to its end."""
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rounds(ours, theirs):
    return [
        {"ours": {"seconds": a, "processor": 1.0}, "peer": {"seconds": b, "processor": 2.0}}
        for a, b in zip(ours, theirs, strict=True)
    ]


def test_ratios_are_taken_pair_by_pair():
    """The machine was ten times as slow in the last round: the ratio of medians would be 4."""
    line = comparing.compared(
        Case("x", aims={"peer": 2.0}, most=3), rounds([1, 2, 10, 100, 1], [4, 8, 20, 200, 2])
    )
    assert line["peers"]["peer"]["ratio"] == {"median": 2.0, "low": 2.0, "high": 4.0}
    assert line["peers"]["peer"]["processor"]["median"] == 2.0
    assert line["ours"]["median"] == 2 and line["met"]


def test_what_falls_short_is_said_in_the_table():
    falls, over = Case("slow", aims={"peer": 5.0}), Case("late", most=1.5)
    lines = [comparing.compared(case, rounds([2], [4])) for case in (falls, over)]
    assert [line["met"] for line in lines] == [False, False]
    table = comparing.table(lines).splitlines()
    assert "| slow | 2 s | peer | 4 s | 2.00 (2.00 to 2.00) | 2.00 | ≥ 5 | no |" in table
    assert "| late | 2 s | – | – | – | – | ≤ 1.5 s | no |" in table


def test_a_figure_of_ours_can_be_the_measure_of_another():
    told = [{"ours": {"filter": 4.0, "warm": 2.0}}]
    line = comparing.compared(Case("x", "filter", {"ours:warm": 0.5}), told)
    assert line["peers"]["ours:warm"]["ratio"]["median"] == 0.5 and line["met"]


def test_rows_are_run_in_turn_there_and_back(monkeypatch):
    asked = []
    monkeypatch.setattr(
        comparing, "in_fresh_process", lambda row, who, *_: asked.append(who) or {"seconds": 1}
    )
    comparing.rounds_of("x", ["ours", "peer", "bound"], "", "", 2)
    assert asked == ["ours", "peer", "bound", "bound", "peer", "ours"]


def test_a_page_keeps_the_figures_of_rows_that_were_not_run(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{bench.MARKS[0]}\nold\n{bench.MARKS[1]}\nafter\n")
    line = comparing.compared(Case("x", aims={"peer": 2.0}), rounds([1], [4]))
    told = {"pairs": 1, "minutes": 1.0, "machine": comparing.machine(), "lines": [line]}
    bench.document(tmp_path, {"a": told, "b": told})
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert text.count("| x | 1 s | peer | 4 s |") == 2
    assert (tmp_path / "bench.svg").read_text().startswith("<?xml")
    assert set(json.loads((tmp_path / "bench.json").read_text())) == {"a", "b"}
    bench.document(tmp_path, {"a": told})
    assert page.read_text().count("| x | 1 s |") == 1


@pytest.mark.parametrize("name", bench.ROWS)
def test_every_row_is_of_the_harness(name):
    row = bench.row_named(name)
    assert set(row.SIZES) == {"small", "default", "full"} and row.__doc__
    for size in row.SIZES.values():
        people = row.whos(size)
        assert people[0] == "ours"
        for case in row.cases(size):
            assert case.aims or case.most is not None
            assert {peer.partition(":")[0] for peer in case.aims} <= set(people)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", bench.ROWS)
def test_every_row_runs_at_its_smallest_size(name, tmp_path):
    """Ratios alone, and of work that was done: the machine may be busy."""
    for line in bench.run(name, "small", 1, tmp_path):
        assert line["ours"]["median"] > 0
        assert all(peer["ratio"]["median"] > 0 for peer in line["peers"].values())


def test_the_page_on_clusters_has_the_tables_that_its_command_computes():
    docs = scale_paper.HERE.parent / "docs"
    told = json.loads((docs / scale_paper.FIGURES).read_text())
    growth = json.loads((docs / "growth.json").read_text())["1000000x512"]
    written = (docs / scale_paper.PAGE).read_text()
    block = written.partition(scale_paper.MARKS[0])[2].partition(scale_paper.MARKS[1])[0]
    assert block.strip() == scale_paper.page(told, growth)


@pytest.mark.parametrize("name", ["ten_million", "search_growth"])
def test_a_folder_that_exists_is_refused_in_one_sentence_and_stays(name, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    done = benchmark(name, "--work", str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not done.stdout
    assert str(tmp_path) in done.stderr and "Name a folder that does not." in done.stderr
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"


@pytest.mark.slow
def test_rows_on_disk_are_told_with_the_memory_that_is_a_process_s_own(tmp_path):
    work = tmp_path / "work"
    done = benchmark("ten_million", "--work", str(work), "--rows", "3000", "--dimension", "16")
    assert done.returncode == 0 and not work.exists()
    told = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[-5:-2]]
    assert [row[0].partition(",")[0] for row in told] == ["import", "build of the index", "open"]
    assert all(20 < int(own) < int(mapped) for *_, own, mapped in told)
