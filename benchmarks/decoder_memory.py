"""Plan how each released family runs on a GPU of 8, 12 and 24 GB and on the CPU, from shapes alone.

    python benchmarks/decoder_memory.py            # print the table
    python benchmarks/decoder_memory.py --write    # and write it into the docs and the package
    python benchmarks/decoder_memory.py --run      # run SD 1.5's UNet with random weights beside it

Bytes and operations are computed on torch's meta device. Seconds on a CPU are computed too: the
operations, divided by what one core of this machine does a second, which is measured.
"""

import argparse
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

from explorer.device import USABLE
from explorer.device.footprint import footprint, outline
from explorer.models.memory import RECORDED
from explorer.models.plan import (
    CLASSES,
    ROWS,
    WAYS,
    Part,
    denoiser_of,
    fit,
    on_cpu,
    parts_of,
    peak_of,
    quantized,
    smallest_class,
)
from explorer.models.shared.released_networks import FAMILIES

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "small-gpu.md"
BLOCK = re.compile(r"(<!-- plan -->\n).*?(<!-- /plan -->)", re.DOTALL)


def main() -> None:
    """Print the plan of all families; write it, or run a network of real size beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the docs and the package")
    parser.add_argument("--run", action="store_true", help="run a UNet of real size on this CPU")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rate = flops_a_second()
    plans = {name: parts_of(name) for name in FAMILIES}
    tables = gpu_table(plans), int8_table(plans), parts_table(plans), cpu_table(plans, rate)
    text = "\n\n".join(tables)
    print(text)
    if given.write:
        page = PAGE.read_text()
        PAGE.write_text(BLOCK.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page))
        recorded = {name: record(parts) for name, parts in plans.items()}
        RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")
    if given.run:
        run_real(rate)


def gigabytes(size: float) -> str:
    """Return bytes as gigabytes of 10⁹."""
    return f"{size / 1e9:.1f}"


def record(parts: tuple[Part, ...]) -> dict[str, object]:
    """Return what `unclip models` shows of a plan."""
    return {
        "smallest": smallest_class(parts),
        "smallest_int8": smallest_class(quantized(parts)),
        "ways": {label: fit(parts, memory).way for label, memory in CLASSES.items()},
        "cpu_gigabytes": [round(peak_of(on_cpu(parts), way) / 1e9, 1) for way in WAYS[:2]],
    }


def gpu_table(plans: dict[str, tuple[Part, ...]]) -> str:
    """Return family × memory of a GPU, as Markdown."""
    head = ["model", *(f"{label}" for label in CLASSES), "at least", "layer by layer"]
    rows = []
    for name, parts in plans.items():
        cells = [f"`{name}`"]
        for memory in CLASSES.values():
            found = fit(parts, memory)
            images = "1 image" if found.rows == 1 else f"{found.rows} images"
            fewer = f", {images} a call" if found.rows < ROWS else ""
            cells.append(f"{found.way}: {gigabytes(found.peak)} GB{fewer}")
        least = [peak_of(parts, way) / USABLE for way in WAYS[2:]]
        rows.append([*cells, *(f"{gigabytes(size)} GB" for size in least)])
    return table(head, rows)


def int8_table(plans: dict[str, tuple[Part, ...]]) -> str:
    """Return family × memory with linear layers in int8, where that takes less, as Markdown."""
    smaller = {name: quantized(parts) for name, parts in plans.items()}
    return "With `--weights int8`:\n\n" + gpu_table(smaller)


def parts_table(plans: dict[str, tuple[Part, ...]]) -> str:
    """Return the bytes of every network, as Markdown."""
    head = ["model", "network", "float32", "on a GPU", "work for one image", "in tiles"]
    rows = []
    for name, parts in plans.items():
        for i, part in enumerate(parts):
            whole = part.weights * (2 if part.half else 1)
            tiles = gigabytes(part.tiled) if part.tiled < part.work else ""
            sizes = [f"{size / 1e9:.2f}" for size in (whole, part.weights, part.work)]
            rows.append(["" if i else f"`{name}`", part.name, *sizes, tiles])
    return table(head, rows)


def cpu_table(plans: dict[str, tuple[Part, ...]], rate: float) -> str:
    """Return memory, operations and seconds on one core, as Markdown."""
    head = ["model", "all at once", "in turn", "TFLOP a step", "s a step", "min an image"]
    rows = []
    for name, parts in plans.items():
        held = [f"{gigabytes(peak_of(on_cpu(parts), way))} GB" for way in WAYS[:2]]
        step = denoiser_of(parts).flops
        whole = sum(part.flops * part.calls for part in parts)
        costs = [f"{step / 1e12:.1f}", f"{step / rate:.0f}", f"{whole / rate / 60:.0f}"]
        rows.append([f"`{name}`", *held, *costs])
    return f"{rate / 1e9:.0f} GFLOP/s on one core:\n\n{table(head, rows)}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def flops_a_second(seconds: float = 3.0) -> float:
    """Measure float32 operations a second of one core, by its own clock, on a UNet's layers."""
    images, matrix = torch.randn(2, 320, 64, 64), torch.randn(8192, 320)
    convolution = torch.nn.Conv2d(320, 320, 3, padding=1)
    linear = torch.nn.Linear(320, 1280)

    def call() -> None:
        convolution(images)
        linear(matrix)

    flops = footprint(call).flops
    with torch.inference_mode():
        call()
        return flops / per_call(call, seconds)


def per_call(call: Callable[[], object], seconds: float) -> float:
    """Return the seconds of this process's own clock that a call takes."""
    start, calls = time.process_time(), 0
    while time.process_time() - start < seconds:
        call()
        calls += 1
    return (time.process_time() - start) / calls


def run_real(rate: float) -> None:
    """Run SD 1.5's UNet with random weights, and print what was planned of it."""
    from diffusers import UNet2DConditionModel

    from explorer.models.shared.released_shapes import SD_1

    unet = UNet2DConditionModel(**SD_1).eval().requires_grad_(False)
    inputs = torch.randn(2, 4, 64, 64), torch.tensor([5.0, 5.0]), torch.randn(2, 77, 768)
    plan, empty = outline(unet), [x.to("meta") for x in inputs]
    planned = footprint(lambda: plan(*empty))
    with torch.inference_mode():
        measured = per_call(lambda: unet(*inputs), 1)
        peak = allocated(lambda: unet(*inputs))
    print(
        f"\nplanned: {planned.flops / rate:.0f} s, {planned.peak / 1e6:.0f} MB beside the weights"
    )
    print(f"measured: {measured:.0f} s, {peak / 1e6:.0f} MB")


def allocated(call: Callable[[], object]) -> int:
    """Return the most bytes that torch's allocator gave out during a call."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    held = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


if __name__ == "__main__":
    main()
