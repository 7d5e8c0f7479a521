"""Train a decoder for the Space of a library, on the library's own images and points.

Writes a folder that `--decoder` takes. Every few minutes it is written anew, with a sheet of
held-out images over their decodes, and with the score of their round trip.
"""

import csv
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from explorer.errors import QueryError
from explorer.files import replace_files
from explorer.images import grid, save_image
from explorer.library import Library
from explorer.metrics import cosines, recall
from explorer.models import Model
from explorer.models.pocket import FOLDER as POCKET
from explorer.models.shared.preprocess import Preprocess
from explorer.models.trained import DECODER, load_decoder
from explorer.points import Points
from explorer.training import decoder_network
from explorer.training.checkpoints import explained, write_manifest
from explorer.training.dataset import Material, gather
from explorer.training.decoder_network import Examples, Networks
from explorer.training.loop import Interrupt, Plan, Run
from explorer.training.run_folder import begin, claim, model_of, recipe_of, row_weights, used_up

SIZES = (32, 64, 128)
SHOWN = 32  # held-out images on a sheet
COLUMNS = 8
ROOM = 50_000_000  # bytes that a decoder, a sheet and a row of scores surely fit into


@dataclass(frozen=True)
class Design:
    """What decoder is wanted.

    Args:
        size: pixels a side; a patch has size / 16, so that 128 costs little more than 64.
        start: "pocket", whose weights the networks start from, or "none".
        images: at most so many are used.
        widths: of the UNet.

    Raises:
        QueryError: there is no such size or start.
    """

    size: int = 64
    start: str = "pocket"
    images: int = 50_000
    widths: tuple[int, int] = decoder_network.WIDTHS

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise QueryError(f"Decoders draw {SIZES} pixels a side, not {self.size}.")
        if self.start not in ("pocket", "none"):
            raise QueryError(f'A decoder starts from "pocket" or "none", not {self.start!r}.')


def train(
    library: Library,
    folder: Path,
    design: Design,
    plan: Plan,
    *,
    resume: bool = False,
    interrupt: Interrupt | None = None,
) -> dict[str, Any]:
    """Train until the plan's budget is used up or an interrupt; give the decoder's manifest.

    Raises:
        QueryError: too few images, or the folder is taken.
        WeightsMissing, SpaceMismatch: the library's model cannot be had.
        TrainingError: the disk is full, or the loss is not finite; what was saved is whole.
    """
    model = model_of(library, plan.device)
    fixed = asdict(design) | {"widths": list(design.widths), "seed": plan.seed}
    fixed["space"] = library.space.fingerprint
    work = claim(folder, fixed, resume)
    framing = _framing(model)
    material = gather(library, work, design.size, design.images, plan.seed, framing)
    begin(work, fixed)
    examples = Examples(material.pixels, material.points, row_weights(material.held_out))
    networks = Networks.fresh(examples, plan, design.widths)
    if design.start == "pocket":
        networks.start_from(POCKET)
    told = {"size": design.size, "start": design.start, "images": len(material.pixels)}
    recipe = recipe_of(library, plan, **told, skipped=material.skipped)
    output = Output(folder, model, material, recipe, framing)
    run, due = None, -np.inf
    with interrupt or nullcontext():
        for run in decoder_network.train(examples, networks, work, plan, interrupt):
            if (start := time.monotonic()) > due:
                with run.averaged():
                    output.write(networks, run, look=True)
                due = time.monotonic() + _pause(plan, time.monotonic() - start)
    if run is None:
        raise used_up(folder, plan)
    return output.write(networks, run, look=not (interrupt and interrupt.asked))


def _pause(plan: Plan, took: float) -> float:
    """Seconds between two sheets: a tenth of the budget, but one minute to five.

    Longer where a sheet takes long, so that nine tenths of the time are left for training.
    """
    return max(9 * took, float(np.clip(6 * plan.minutes, 60, 300)))


def _framing(model: Model) -> dict[str, Any]:
    """How the encoder cuts an image, so that the decoder learns what the points speak of."""
    seen = model.encoder.preprocess
    names = ("resize_mode", "interpolation", "fill_color")
    return {name: getattr(seen, name) for name in names} if isinstance(seen, Preprocess) else {}


class Output:
    """The folder that is written: decoder, sheets and scores."""

    def __init__(
        self,
        folder: Path,
        model: Model,
        material: Material,
        recipe: dict[str, Any],
        framing: dict[str, Any],
    ) -> None:
        self.folder, self.model = folder, model
        rows = np.random.default_rng(0).permutation(np.flatnonzero(material.held_out))[:SHOWN]
        self.originals = [Image.fromarray(pixels) for pixels in material.pixels[rows]]
        self.points = Points(material.points[rows], model.space, "image")
        norms = np.linalg.norm(material.points[~material.held_out], axis=1)
        self.manifest: dict[str, Any] = {
            "kind": "decoder",
            "model": model.name,
            "space": asdict(model.space),
            **decoder_network.DEFAULTS,
            "norm_mean": round(float(norms.mean()), 4),
            "norm_std": round(float(norms.std()), 4),
            "preprocess": framing,
            "training": recipe,
            "held_out": {},
        }

    def write(self, networks: Networks, run: Run, *, look: bool) -> dict[str, Any]:
        """Put the networks in the place of the decoder that was there; give the manifest.

        Args:
            look: measure it first, and draw a sheet.
        """
        fresh = self.folder / "work" / "next"
        self.manifest["training"] |= {"stage": run.name, "step": run.step}
        with explained(self.folder, ROOM):
            networks.save(fresh)
            write_manifest(fresh / DECODER, self.manifest)
            if look:
                self.manifest["held_out"] = self._look(fresh, run)
                write_manifest(fresh / DECODER, self.manifest)
            replace_files(fresh, self.folder, last=DECODER)
        return self.manifest

    def _look(self, folder: Path, run: Run) -> dict[str, Any]:
        """Decode held-out points, encode the images, and compare with points and chance."""
        decoder = load_decoder(folder, self.manifest["training"]["device"])
        made = list(decoder.decode(self.points))
        seen = self.model.encoder.encode_images(made)
        everyone = np.arange(len(made))
        others = self.points[np.roll(everyone, 1)]
        found = recall(seen.unit @ self.points.unit.T, everyone, 1)
        scores = {
            "round_trip": float(np.median(cosines(seen, self.points))),
            "chance": float(np.median(cosines(seen, others))),
            "found_first": found,
        }
        scores = {name: round(value, 4) for name, value in scores.items()}
        self._tell(run, scores)
        self._draw(made)
        return {"images": len(made), "stage": run.name, "step": run.step, **scores}

    def _tell(self, run: Run, scores: dict[str, float]) -> None:
        """One line on stderr, one row in progress.csv."""
        print(
            f"{run.name}: step {run.step}, held-out round trip {scores['round_trip']:.3f} "
            f"(chance {scores['chance']:.3f}), found first {scores['found_first']:.0%}",
            file=sys.stderr,
            flush=True,
        )
        row = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "stage": run.name,
            "step": run.step,
            "minutes": round(run.elapsed / 60, 2),
            "loss": round(run.loss, 5),
            "learning_rate": f"{run.rate * run.factor():.3g}",
            **scores,
        }
        with (self.folder / "progress.csv").open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)

    def _draw(self, made: list[Image.Image]) -> None:
        """Held-out images, and under each row of them their decodes."""
        tiles: list[Image.Image] = []
        for start in range(0, len(made), COLUMNS):
            part = slice(start, start + COLUMNS)
            tiles += [*self.originals[part], *made[part]]
        sheets = self.folder / "samples"
        sheets.mkdir(exist_ok=True)
        number = 1 + max((int(file.stem) for file in sheets.glob("[0-9]*.png")), default=0)
        save_image(grid(tiles, columns=COLUMNS), sheets / f"{number:04d}.png")
