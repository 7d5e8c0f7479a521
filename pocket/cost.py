"""What pocket costs: steps that a solver needs, seconds an image, seconds to load, megabytes.

Returns figures for the model card.
"""

import subprocess
import sys
import time
from pathlib import Path as FilePath
from statistics import median
from typing import Any

import numpy as np

from explorer.decoder import Decoder
from explorer.metrics import cosines, fewest
from explorer.models import Model
from explorer.points import Points
from explorer.settings import Settings, Solver

SOLVERS: tuple[Solver, ...] = ("ddim", "dpm", "unipc")
STEPS = (4, 6, 8, 10, 12, 16, 25, 50)
TIMES = {1: 5, 12: 3}  # images -> how often they are decoded
LOADING = """
import torch, time
start = time.perf_counter()
import sys, explorer
model = explorer.load(sys.argv[1], device="cpu")
loaded = time.perf_counter()
list(model.decoder.decode(model.prior.sample("cat face")))
print(loaded - start, time.perf_counter() - loaded)
"""


def steps(model: Model, decoder: Decoder, points: Points) -> dict[str, Any]:
    """Median cos(E(D(z)), z) of every solver at every number of steps, at default guidance.

    The best is 50-step DDIM; what is needed are the fewest steps within 1 % of it.
    """

    def score(solver: Solver, count: int) -> float:
        made = list(decoder.decode(points, Settings(solver=solver, steps=count)))
        return float(np.median(cosines(model.encoder.encode_images(made), points)))

    counts = sorted({*STEPS, decoder.steps})
    table = {solver: {count: score(solver, count) for count in counts} for solver in SOLVERS}
    best = table["ddim"][STEPS[-1]]
    needed = {solver: fewest(scores, best) for solver, scores in table.items()}
    return {
        "steps": table,
        "steps_needed": min((n for n in needed.values() if n), default=None),
        "steps_needed_by": needed,
        "defaults_share": table[decoder.solver][decoder.steps] / best,
    }


def speed(decoder: Decoder, points: Points) -> dict[str, Any]:
    """Median seconds to decode one image and twelve at the defaults."""
    import torch

    list(decoder.decode(points[:1]))  # the first call reads the weights
    taken = {
        f"seconds_for_{count}": seconds(decoder, points[np.arange(count) % len(points)], times)
        for count, times in TIMES.items()
    }
    return {**taken, "device": decoder.device, "threads": torch.get_num_threads()}


def seconds(decoder: Decoder, points: Points, times: int) -> float:
    """Median of some times of decoding these points."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        list(decoder.decode(points))
        taken.append(time.perf_counter() - start)
    return median(taken)


def loading(name: str, folder: FilePath) -> dict[str, float]:
    """Seconds from an imported torch to a loaded model and, from there, to a first image from
    words (medians of 3 processes), and megabytes.
    """
    command = [sys.executable, "-c", LOADING, name]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(3)]
    loads, firsts = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {
        "load_seconds": median(loads),
        "first_image_seconds": median(firsts),
        "megabytes": sum(file.stat().st_size for file in files) / 1e6,
    }
