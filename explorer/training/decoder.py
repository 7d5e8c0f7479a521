"""Train a decoder for the Space of a library, on the library's own images and points.

Writes a folder that `--decoder` takes. Every few minutes it is written again, with a sheet of
held-out images over their decodes, and with the score of their round trip.
"""

import csv
import io
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from explorer.errors import QueryError
from explorer.files import make_folder, replace_files, write_file
from explorer.images import grid, save_image
from explorer.library import Library
from explorer.metrics import cosines, recall
from explorer.models import Model, load
from explorer.models.pocket import FOLDER as POCKET
from explorer.models.rae import RaeCodec, codec_of
from explorer.models.shared.preprocess import Preprocess
from explorer.models.trained import DECODER, load_decoder, space_of
from explorer.models.trust import remember_named
from explorer.points import Points, Space
from explorer.training import decoder_network
from explorer.training.checkpoints import explained, removed_on_failure, write_manifest
from explorer.training.dataset import read_examples
from explorer.training.decoder_network import Networks
from explorer.training.draft import Looks
from explorer.training.examples import Examples
from explorer.training.loop import Interrupt, Plan, Run
from explorer.training.run_folder import begin, claim, model_of, no_time_left, recipe_of
from explorer.training.starting import start_from

SIZES = (32, 64, 128)
SHEET_IMAGES = 32  # held-out images on a sheet
SHEET_COLUMNS = 8
DECODER_BYTES = 50_000_000  # at most, with a sheet and a row of scores


@dataclass(frozen=True)
class Design:
    """The size of a decoder, what it starts from and what it is trained on.

    Args:
        size: pixels a side; a patch has size / 16, so that 128 costs little more than 64.
        start: whose weights the networks start from: "pocket", "none", or the folder of a decoder
            that was trained before, as of one of 64 pixels for one of 128.
        images: the maximum number of images to train on.
        widths: of the UNet; None fits them to the codec.
        draft: the network that drafts the image. "plain" is cheap, its error squared; "painter" is
            larger, held against edges and features too, and corrected by the UNet.
        codec: "rae" or "rae:FOLDER": the decoder gives its tokens, and images are of its size; it
            starts from "none", with the draft "plain". "" trains on patches of pixels.

    Raises:
        QueryError: there is no such size, start or draft, or none for a codec.
    """

    size: int = 64
    start: str = "pocket"
    images: int = 50_000
    widths: tuple[int, int] | None = None
    draft: str = "plain"
    codec: str = ""

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise QueryError(f"A decoder's size is one of {SIZES} pixels, not {self.size}.")
        if self.start not in ("pocket", "none") and not (FilePath(self.start) / DECODER).is_file():
            raise QueryError(
                'A decoder starts from "pocket", "none", or a folder that `unclip train decoder` '
                f"wrote, and {self.start!r} is none of these."
            )
        if self.draft not in decoder_network.DRAFT_BATCH:
            raise QueryError(f'A draft is "plain" or "painter", not {self.draft!r}.')
        if self.codec and (self.start, self.draft) != ("none", "plain"):
            raise QueryError(
                'A decoder of a codec\'s tokens starts from "none" with the draft "plain", not '
                f"from {self.start!r} with {self.draft!r}."
            )

    def begin(self, networks: Networks, space: Space) -> None:
        """Give networks for points of a space the weights that they start from; say how many."""
        if self.start == "none":
            return
        folder = POCKET if self.start == "pocket" else FilePath(self.start)
        own = load("pocket", device="cpu").space if self.start == "pocket" else space_of(folder)
        share = start_from(networks, folder, same_space=own == space)
        print(f"{share:.0%} of the weights start from {self.start}", file=sys.stderr, flush=True)


def train(
    library: Library,
    folder: FilePath,
    design: Design,
    plan: Plan,
    *,
    resume: bool = False,
    interrupt: Interrupt | None = None,
) -> dict[str, Any]:
    """Train until the plan's time is used up or an interrupt; return the decoder's manifest.

    Raises:
        QueryError: too few images, or the folder is taken.
        WeightsMissing, SpaceMismatch: the library's model cannot be loaded.
        TrainingError: the disk is full, or the loss is not finite; what was saved is whole.
    """
    model = model_of(library, plan.device)
    codec, size, widths = _codec(design, plan)
    fixed = asdict(design) | {"widths": list(widths), "codec": codec and codec.fingerprint}
    fixed |= {"seed": plan.seed, "space": library.space.fingerprint}
    work, framing = claim(folder, fixed, resume), _framing(model)
    examples, skipped = read_examples(library, work, size, design.images, plan.seed, framing)
    examples = replace(examples, codec=codec)
    begin(work, fixed)
    looks = Looks.of_folder(POCKET, plan.device) if design.draft == "painter" else None
    networks = Networks.fresh(examples, plan, widths, design.draft, looks)
    design.begin(networks, model.space)
    told = {"size": size, "start": design.start, "images": len(examples.pixels)}
    recipe = recipe_of(library, plan, **told, skipped=skipped)
    output = Output(folder, model, examples, recipe, framing, design.draft, codec)
    run, due = None, -np.inf
    with interrupt or nullcontext():
        for run in decoder_network.train(examples, networks, work, plan, interrupt):
            if (start := time.monotonic()) > due:
                with run.averaged():
                    output.write(networks, run, measure=True)
                due = time.monotonic() + _pause(plan, time.monotonic() - start)
    if run is None:
        raise no_time_left(folder, plan)
    return output.write(networks, run, measure=not (interrupt and interrupt.asked))


def _codec(design: Design, plan: Plan) -> tuple[RaeCodec | None, int, tuple[int, int]]:
    """Return the codec, the side of its images and the widths of the UNet."""
    if not design.codec:
        return None, design.size, design.widths or decoder_network.WIDTHS
    codec = codec_of(design.codec, plan.device)
    widths = design.widths or decoder_network.widths_of(codec.latent_shape[0])
    return codec, codec.side, widths


def _pause(plan: Plan, took: float) -> float:
    """Return the seconds between two sheets: a tenth of the budget, but one minute to five.

    Longer where a sheet takes long, so that nine tenths of the time are left for training.
    """
    return max(9 * took, float(np.clip(6 * plan.minutes, 60, 300)))


def _framing(model: Model) -> dict[str, Any]:
    """Return how the encoder cuts an image, so that the decoder learns what the points show."""
    seen = model.encoder.preprocess
    names = ("resize_mode", "interpolation", "fill_color")
    return {name: getattr(seen, name) for name in names} if isinstance(seen, Preprocess) else {}


def _through(
    codec: RaeCodec, pixels: UInt8[np.ndarray, "N H W C"], device: str
) -> list[Image.Image]:
    """Return images as the codec gives them back: no decoder of its tokens can do better."""
    import torch

    with torch.inference_mode():
        rows = torch.tensor(pixels, device=device).permute(0, 3, 1, 2).float() / 255
        levels = torch.cat([codec.decode(codec.encode(row)) for row in rows.split(1)])
        arrays = levels.clamp(0, 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(array) for array in arrays]


class Output:
    """The output folder: decoder, sheets and scores."""

    def __init__(
        self,
        folder: FilePath,
        model: Model,
        examples: Examples,
        recipe: dict[str, Any],
        framing: dict[str, Any],
        draft: str = "plain",
        codec: RaeCodec | None = None,
    ) -> None:
        self.folder, self.model = folder, model
        held_out = np.flatnonzero(examples.weights == 0)
        rows = np.random.default_rng(0).permutation(held_out)[:SHEET_IMAGES]
        self.originals = [Image.fromarray(pixels) for pixels in examples.pixels[rows]]
        self.points = Points(examples.points[rows], model.space, "image")
        norms = np.linalg.norm(examples.points[examples.weights > 0], axis=1)
        self.manifest: dict[str, Any] = {
            "kind": "decoder",
            "model": model.name,
            "space": asdict(model.space),
            **decoder_network.DEFAULTS,
            "draft": draft,
            "norm_mean": round(float(norms.mean()), 4),
            "norm_std": round(float(norms.std()), 4),
            "preprocess": framing,
            "training": recipe,
            "held_out": {},
        }
        self.through: list[Image.Image] = []
        if codec:
            remember_named(codec.name)  # the decoder names it
            self.through = _through(codec, examples.pixels[rows], recipe["device"])
            best = np.median(cosines(model.encoder.encode_images(self.through), self.points))
            told = {"model": codec.name, "sha256": codec.fingerprint}
            self.manifest["codec"] = told | {"round_trip": round(float(best), 4)}
            self.manifest["steps"] = decoder_network.STEPS_OF_TOKENS

    def write(self, networks: Networks, run: Run, *, measure: bool) -> dict[str, Any]:
        """Replace the decoder in the folder by these networks; return the manifest.

        Args:
            measure: decode held-out points first, for scores and a sheet.
        """
        fresh = self.folder / "work" / "next"
        self.manifest["training"] |= {"stage": run.name, "step": run.step}
        with explained(self.folder, DECODER_BYTES), removed_on_failure(fresh):
            networks.save(fresh)
            write_manifest(fresh / DECODER, self.manifest)
            if measure:
                self.manifest["held_out"] = self._measure(fresh, run)
                write_manifest(fresh / DECODER, self.manifest)
            replace_files(fresh, self.folder, last=DECODER)
        return self.manifest

    def _measure(self, folder: FilePath, run: Run) -> dict[str, Any]:
        """Decode held-out points, encode the images, and compare with points and chance."""
        decoder = load_decoder(folder, self.manifest["training"]["device"])
        decodes = list(decoder.decode(self.points))
        seen = self.model.encoder.encode_images(decodes)
        rows = np.arange(len(decodes))
        others = self.points[np.roll(rows, 1)]
        found = recall(seen.unit @ self.points.unit.T, rows, 1)
        scores = {
            "round_trip": float(np.median(cosines(seen, self.points))),
            "chance": float(np.median(cosines(seen, others))),
            "found_first": found,
        }
        scores = {name: round(value, 4) for name, value in scores.items()}
        self._report(run, scores)
        self._write_sheet(decodes)
        return {"images": len(decodes), "stage": run.name, "step": run.step, **scores}

    def _report(self, run: Run, scores: dict[str, float]) -> None:
        """Print one line to stderr and write one row of progress.csv."""
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
        file, added = self.folder / "progress.csv", io.StringIO()
        before = file.read_bytes() if file.exists() else b""
        writer = csv.DictWriter(added, list(row), lineterminator="\n")
        if not before:
            writer.writeheader()
        writer.writerow(row)
        write_file(file, before + added.getvalue().encode())

    def _write_sheet(self, decodes: list[Image.Image]) -> None:
        """Write held-out images, and under each row of them their decodes.

        Between the two stands what a codec alone makes of the images.
        """
        tiles: list[Image.Image] = []
        for start in range(0, len(decodes), SHEET_COLUMNS):
            part = slice(start, start + SHEET_COLUMNS)
            tiles += [*self.originals[part], *self.through[part], *decodes[part]]
        sheets = self.folder / "samples"
        make_folder(sheets)
        number = 1 + max((int(file.stem) for file in sheets.glob("[0-9]*.png")), default=0)
        save_image(grid(tiles, columns=SHEET_COLUMNS), sheets / f"{number:04d}.png")
