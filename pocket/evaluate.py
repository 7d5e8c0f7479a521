"""Measure pocket on its held-out pairs: `python -m pocket.evaluate`.

Writes the tables of the model card and a contact sheet of held-out images over their decodes, and
prints all figures as one JSON object.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Int
from PIL import Image

from explorer.decoder import INVERSION_STEPS_FACTOR, Decoder
from explorer.geometry import slerp
from explorer.images import grid, save_image
from explorer.metrics import cosines, frechet, leading_axes, recall, three_ways
from explorer.models import Model, load
from explorer.models.pocket import FOLDER
from explorer.points import Points
from explorer.prior import Prior
from explorer.settings import Settings
from pocket import beyond, card, cost, data, textdiffs
from pocket.data import Images

SHEET_IMAGES = 24
AXES = 32  # for the Fréchet distance: few enough for the covariance of some hundred decodes
STEPS_IMAGES = 32  # decoded with every solver at every number of steps
INVERTED_IMAGES = 24


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is evaluated: one model, on all images, some held-out ones of which are decoded."""

    model: Model
    images: Images
    count: int
    seed: int

    @property
    def prior(self) -> Prior:
        """The model's prior."""
        assert self.model.prior is not None
        return self.model.prior

    @property
    def decoder(self) -> Decoder:
        """The model's decoder."""
        assert self.model.decoder is not None
        return self.model.decoder

    @cached_property
    def points(self) -> Points:
        """The points of all images."""
        return self.model.encoder.encode_images(list(map(Image.fromarray, self.images.pixels)))

    @cached_property
    def held(self) -> Int[np.ndarray, " H"]:
        """The rows of the held-out images."""
        return np.flatnonzero(self.images.held_out)

    @cached_property
    def captions(self) -> Points:
        """The text points of the held-out images' captions, "name, style"."""
        return self.model.encoder.encode_text([self.images.caption(row) for row in self.held])

    @cached_property
    def drawn(self) -> Int[np.ndarray, " N"]:
        """The held-out images that are decoded, as positions in `held`."""
        some = np.random.default_rng(self.seed).permutation(len(self.held))
        return some[: self.count]

    @cached_property
    def asked(self) -> Points:
        """The points of the images drawn."""
        return self.points[self.held[self.drawn]]

    def seen(self, points: Points, **options: Any) -> Points:
        """Decode points, at the defaults but for the options, and encode the images."""
        return self.model.encoder.encode_images(
            list(self.decoder.decode(points, Settings(**options)))
        )


def retrieval(evaluation: Evaluation) -> dict[str, Any]:
    """Measure how often the caption of a held-out image finds it among the held-out images."""
    rows = np.arange(len(evaluation.held))
    scores = evaluation.captions.unit @ evaluation.points[evaluation.held].unit.T
    return {
        "held_out": len(evaluation.held),
        "images": len(evaluation.points),
        "text_to_image_recall_at_1": recall(scores, rows, 1),
        "text_to_image_recall_at_10": recall(scores, rows, 10),
    }


def words(evaluation: Evaluation) -> dict[str, Any]:
    """Measure text diffs that find the image they describe, and words that stand in no caption."""
    names = [glyph.name for glyph in evaluation.images.glyphs]
    table = textdiffs.measure(evaluation.model, evaluation.images, evaluation.points)
    kinds = [table[kind]["held_out_hit"] for kind in table if kind != textdiffs.ALL]
    return {
        "text_diffs": table,
        "text_diff_at_10": table[textdiffs.ALL]["held_out_hit"],
        "text_diff_at_10_mean_of_kinds": float(np.mean(kinds)),
        "beyond": beyond.measure(evaluation.model, names, evaluation.points),
    }


def round_trips(evaluation: Evaluation) -> dict[str, Any]:
    """Measure how near decodes are to their points: of images, and of midpoints of random pairs."""
    half = len(evaluation.asked) // 2
    middle = slerp(evaluation.asked[:half], evaluation.asked[half : 2 * half], 0.5)
    seen = evaluation.seen(evaluation.asked)
    everything = seen.unit @ evaluation.points.unit.T
    return {
        "decoded": len(evaluation.asked),
        "round_trip": float(np.median(cosines(seen, evaluation.asked))),
        "round_trip_of_midpoints": float(np.median(cosines(evaluation.seen(middle), middle))),
        "decode_finds_its_source_at_10": recall(everything, evaluation.held[evaluation.drawn], 10),
    }


def ways(evaluation: Evaluation) -> dict[str, Any]:
    """Compare what the decoder makes of captions by each way, as the paper's figure 8 does."""
    held = evaluation.points[evaluation.held]
    texts = evaluation.captions[evaluation.drawn].labels
    carried = evaluation.prior.sample(texts)
    table = three_ways(
        evaluation.seen,
        evaluation.asked,
        evaluation.captions,
        carried,
        held,
        evaluation.drawn,
        AXES,
    )
    axes = leading_axes(held.unit, AXES)
    others = table["no point"], table["text point"]
    return {
        "ways": table,
        "axes": AXES,
        "frechet_of_real": frechet(evaluation.asked.unit @ axes, held.unit @ axes),
        "prior_words_at_10": table["prior"]["words_at_10"],
        "prior_finds_the_image_at_10": recall(carried.unit @ held.unit.T, evaluation.drawn, 10),
        "prior_closer_by": min(way["frechet"] for way in others) - table["prior"]["frechet"],
        "prior_better_by": table["prior"]["round_trip"] - max(w["round_trip"] for w in others),
    }


def inversion(evaluation: Evaluation) -> dict[str, Any]:
    """Measure the mean absolute error of pixels, 0 to 1, of images inverted and decoded again."""
    rows = evaluation.held[evaluation.drawn[:INVERTED_IMAGES]]
    images = [Image.fromarray(evaluation.images.pixels[row]) for row in rows]
    points, steps = evaluation.points[rows], INVERSION_STEPS_FACTOR * evaluation.decoder.steps
    noise = evaluation.decoder.invert(images, points, Settings(steps=steps))
    again = evaluation.decoder.decode(
        points, Settings(steps=steps, guidance=1, solver="ddim"), noise
    )
    errors = [
        np.abs(np.asarray(made, float) - np.asarray(image, float)).mean() / 255
        for made, image in zip(again, images, strict=True)
    ]
    return {"inverted": len(rows), "inversion_error": float(np.mean(errors))}


def costs(evaluation: Evaluation) -> dict[str, Any]:
    """Measure the steps that are needed, and the seconds."""
    some = evaluation.asked[:STEPS_IMAGES]
    steps = cost.steps(evaluation.model, evaluation.decoder, some)
    return {"stepped": len(some), **steps, **cost.speed(evaluation.decoder, evaluation.asked)}


def measure(evaluation: Evaluation) -> dict[str, Any]:
    """Measure everything; print one line a stage to stderr."""
    result: dict[str, Any] = {"space": evaluation.model.space.fingerprint}
    result |= {"decoder": evaluation.decoder.fingerprint, "seed": evaluation.seed}
    for stage in (retrieval, words, round_trips, ways, inversion, costs):
        start = time.perf_counter()
        result |= stage(evaluation)
        print(f"{stage.__name__}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return result


def contact_sheet(evaluation: Evaluation) -> Image.Image:
    """Return 24 held-out images with their captions, and under each its decode."""
    rows = evaluation.held[evaluation.drawn[:SHEET_IMAGES]]
    originals = [Image.fromarray(evaluation.images.pixels[row]) for row in rows]
    made = list(evaluation.decoder.decode(evaluation.points[rows]))
    tiles, labels = [], []
    for start in range(0, SHEET_IMAGES, 8):
        part = slice(start, start + 8)
        tiles += [*originals[part], *made[part]]
        labels += [evaluation.images.caption(row) for row in rows[part]] + [""] * 8
    return grid(tiles, columns=8, labels=labels, size=128)


def main() -> None:
    """Read the command line, measure, write the card and the contact sheet."""
    parser = argparse.ArgumentParser("python -m pocket.evaluate", description=__doc__)
    parser.add_argument(
        "--work",
        type=FilePath,
        default=FilePath("training-run"),
        help="folder of the images",
    )
    parser.add_argument("--model", default="pocket", help="model: pocket, or pocket:FOLDER")
    parser.add_argument("--count", type=int, default=240, help="held-out images to decode")
    parser.add_argument("--seed", type=int, default=1, help="random seed of their choice")
    parser.add_argument(
        "--sheet",
        type=FilePath,
        default=FilePath("held-out.png"),
        help="contact sheet to write",
    )
    parser.add_argument(
        "--card", type=FilePath, help="model card; default: README.md beside the weights"
    )
    given = parser.parse_args()
    folder = FilePath(given.model.partition(":")[2] or FOLDER)
    start = time.perf_counter()
    evaluation = Evaluation(
        load(given.model, device="cpu"), data.load(given.work), given.count, given.seed
    )
    result = cost.loading(given.model, folder) | measure(evaluation)
    save_image(contact_sheet(evaluation), given.sheet)
    result["minutes"] = (time.perf_counter() - start) / 60
    card.write(given.card or folder / "README.md", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
