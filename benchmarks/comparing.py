"""What the rows of `make bench` share: runs in turn, ratios pair by pair, machine, table and plot.

A row is a module of benchmarks/rows/ with

- `SIZES`: "small", "default" and "full", as `prepare` and `measure` take them;
- `cases(size)`: its lines of the table;
- `whos(size)`: who runs, ours first;
- `prepare(folder, size)`: write what all of them read, once;
- `measure(who, folder, size)`: do the work, in a fresh process, and return figures by name.
"""

import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One line: a figure of ours, beside those of peers, a bound, or a limit.

    Args:
        metric: name of ours among the figures.
        aims: peer, or "peer:metric", to how many times ours is to be as fast. A bound is a peer
            that cannot be passed, with an aim below 1.
        most: what ours may be, in the unit.
        note: metrics that are told beside it, of everybody who has them.
    """

    title: str
    metric: str = "seconds"
    aims: dict[str, float] = field(default_factory=dict)
    most: float | None = None
    unit: str = "s"
    note: tuple[str, ...] = ()


def timed(call):
    """Run a call: seconds that passed, and of all processors, with those of its processes."""
    began, used = time.perf_counter(), sum(os.times()[:4])
    result = call()
    passed, end = time.perf_counter() - began, time.monotonic() + 5
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.01)  # their seconds count once they are gone
    return {"seconds": passed, "processor": sum(os.times()[:4]) - used}, result


def in_fresh_process(row, who, folder, size):
    """Measure one of a row in a process of its own; figures by name."""
    stage = [sys.executable, str(HERE / "bench.py"), "--stage", row, who, str(folder), str(size)]
    done = subprocess.run(stage, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{row}, {who}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rounds_of(row, whos, folder, size, pairs):
    """Measure everybody in turn, `pairs` times; every second round goes the other way."""
    rounds = []
    for number in range(pairs):
        order = whos if number % 2 == 0 else whos[::-1]
        rounds.append({who: in_fresh_process(row, who, folder, size) for who in order})
    return rounds


def spread(values):
    """Return the median and the quartiles."""
    values = list(values)
    low, middle, high = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    )
    return {"median": middle, "low": low, "high": high}


def compared(case, rounds):
    """Return one line's figures: ours, and each peer's with the ratio of every round."""
    ours = [each["ours"][case.metric] for each in rounds]
    line = {"title": case.title, "unit": case.unit, "ours": spread(ours), "most": case.most}
    line["peers"], line["met"] = {}, case.most is None or line["ours"]["median"] <= case.most
    for name, aim in case.aims.items():
        who, _, metric = name.partition(":")
        theirs = [each[who][metric or case.metric] for each in rounds]
        ratios = spread(their / our for their, our in zip(theirs, ours, strict=True))
        line["peers"][name] = {"is": spread(theirs), "ratio": ratios, "aim": aim}
        line["met"] &= ratios["median"] >= aim
        if all("processor" in each[person] for each in rounds for person in (who, "ours")):
            work = (each[who]["processor"] / each["ours"]["processor"] for each in rounds)
            line["peers"][name]["processor"] = spread(work)
    line["notes"] = {
        f"{who} {note}": statistics.median(each[who][note] for each in rounds)
        for note in case.note
        for who in rounds[0]
        if note in rounds[0][who]
    }
    return line


def machine():
    """Return what the figures depend on: processor, cores, load, versions."""
    import torch

    cpu = torch.cpu.get_capabilities()
    return {
        "processor": f"{cpu.get('cpu_name', platform.machine())}",
        "amx": bool(cpu.get("amx_bf16")),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def shown(value):
    """Write a number with three digits, as people do."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(lines):
    """Return the lines as Markdown: one for each peer, or one where there is a limit alone."""
    head = "work | ours | beside | takes | ratio (quartiles) | of processor time | aim | met"
    out = [f"| {head} |", "|---" * 8 + "|"]
    for line in lines:
        unit, first = line["unit"], f"{line['title']} | {shown(line['ours']['median'])}"
        notes = "".join(f"; {name} {shown(value)}" for name, value in line["notes"].items())
        for name, peer in line["peers"].items():
            ratio, aim = peer["ratio"], peer["aim"]
            cells = f"{first} {unit} | {name.replace(':', ', ')} | {shown(peer['is']['median'])}"
            quartiles = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
            work = f"{peer['processor']['median']:.2f}" if "processor" in peer else "–"
            met = "yes" if ratio["median"] >= aim else "no"
            out.append(f"| {cells} {unit} | {ratio['median']:.2f} ({quartiles}) | {work} | "
                       f"≥ {aim:g} | {met}{notes} |")  # fmt: skip
            notes = ""
        if line["most"] is not None:
            met = "yes" if line["ours"]["median"] <= line["most"] else "no"
            out.append(f"| {first} {unit} | – | – | – | – | ≤ {line['most']:g} {unit} | "
                       f"{met}{notes} |")  # fmt: skip
    return "\n".join(out)


def plot(lines, file):
    """Draw every ratio with its quartiles and its aim, on a logarithmic axis."""
    from matplotlib.figure import Figure

    pairs = [(line, name, peer) for line in lines for name, peer in line["peers"].items()][::-1]
    figure = Figure((8, 0.9 + 0.32 * len(pairs)), layout="constrained")
    axes = figure.add_subplot()
    for place, (_, _, peer) in enumerate(pairs):
        ratio, met = peer["ratio"], peer["ratio"]["median"] >= peer["aim"]
        axes.barh(place, ratio["median"] - 1, left=1, color="#3b7" if met else "#d83", height=0.6)
        axes.plot([ratio["low"], ratio["high"]], [place] * 2, color="#222", linewidth=1)
        axes.plot([peer["aim"]], [place], "|", color="#222", markersize=12)
    names = [f"{line['title']} – {name.replace(':', ', ')}" for line, name, _ in pairs]
    axes.set_yticks(range(len(pairs)), names, fontsize=7)
    axes.set(xscale="log", xlabel="times as fast as the peer; | is the aim, — the quartiles")
    ticks = [10.0**power * step for power in range(-3, 4) for step in (1, 2, 5)]
    low, high = axes.get_xlim()
    kept = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(kept, [f"{tick:g}" for tick in kept])
    axes.minorticks_off()
    axes.axvline(1, color="#222", linewidth=0.8)
    figure.savefig(file, metadata={"Date": None})
