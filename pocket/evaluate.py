"""Measure pocket on its held-out pairs: `python -m pocket.evaluate`.

Writes the table of the model card, draws a contact sheet of held-out images over their decodes,
and prints all figures as one JSON object.
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

SHEET = 24
AXES = 32  # for the Fréchet distance: few enough for the covariance of some hundred decodes
STEPPED = 32  # images that are decoded with every solver at every number of steps
INVERTED = 24


@dataclass(frozen=True, eq=False)
class Exam:
    """What the measures ask about: one model, all images, and the held-out ones to decode."""

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
        """Of all images."""
        return self.model.encoder.encode_images(list(map(Image.fromarray, self.images.pixels)))

    @cached_property
    def held(self) -> Int[np.ndarray, " H"]:
        """Rows of the held-out images."""
        return np.flatnonzero(self.images.held_out)

    @cached_property
    def captions(self) -> Points:
        """Of the held-out images: "name, style"."""
        return self.model.encoder.encode_text([self.images.caption(row) for row in self.held])

    @cached_property
    def drawn(self) -> Int[np.ndarray, " N"]:
        """Which of the held-out images are decoded, as places in `held`."""
        some = np.random.default_rng(self.seed).permutation(len(self.held))
        return some[: self.count]

    @cached_property
    def asked(self) -> Points:
        """The points of the images drawn."""
        return self.points[self.held[self.drawn]]

    def seen(self, points: Points, **options: Any) -> Points:
        """The points of the decodes of these points, at the defaults but for the options."""
        return self.model.encoder.encode_images(
            list(self.decoder.decode(points, Settings(**options)))
        )


def retrieval(exam: Exam) -> dict[str, Any]:
    """The caption of a held-out image finds it among the held-out images."""
    everyone = np.arange(len(exam.held))
    scores = exam.captions.unit @ exam.points[exam.held].unit.T
    return {
        "held_out": len(exam.held),
        "images": len(exam.points),
        "text_to_image_recall_at_1": recall(scores, everyone, 1),
        "text_to_image_recall_at_10": recall(scores, everyone, 10),
    }


def words(exam: Exam) -> dict[str, Any]:
    """Text diffs that find the image they describe, and words that stand in no caption."""
    names = [glyph.name for glyph in exam.images.glyphs]
    table = textdiffs.measure(exam.model, exam.images, exam.points)
    kinds = [table[kind]["held_out_hit"] for kind in table if kind != textdiffs.ALL]
    return {
        "text_diffs": table,
        "text_diff_at_10": table[textdiffs.ALL]["held_out_hit"],
        "text_diff_at_10_mean_of_kinds": float(np.mean(kinds)),
        "beyond": beyond.measure(exam.model, names, exam.points),
    }


def round_trips(exam: Exam) -> dict[str, Any]:
    """Decodes lie where their points lie: of images, and of midpoints between random pairs."""
    half = len(exam.asked) // 2
    middle = slerp(exam.asked[:half], exam.asked[half : 2 * half], 0.5)
    seen = exam.seen(exam.asked)
    everything = seen.unit @ exam.points.unit.T
    return {
        "decoded": len(exam.asked),
        "round_trip": float(np.median(cosines(seen, exam.asked))),
        "round_trip_of_midpoints": float(np.median(cosines(exam.seen(middle), middle))),
        "decode_finds_its_source_at_10": recall(everything, exam.held[exam.drawn], 10),
    }


def ways(exam: Exam) -> dict[str, Any]:
    """Compare what the decoder makes of captions by each way, as the paper's figure 8 does."""
    held = exam.points[exam.held]
    texts = exam.captions[exam.drawn].labels
    carried = exam.prior.sample(texts)
    table = three_ways(exam.seen, exam.asked, exam.captions, carried, held, exam.drawn, AXES)
    axes = leading_axes(held.unit, AXES)
    others = table["no point"], table["text point"]
    return {
        "ways": table,
        "axes": AXES,
        "frechet_of_real": frechet(exam.asked.unit @ axes, held.unit @ axes),
        "prior_words_at_10": table["prior"]["words_at_10"],
        "prior_finds_the_image_at_10": recall(carried.unit @ held.unit.T, exam.drawn, 10),
        "prior_closer_by": min(way["frechet"] for way in others) - table["prior"]["frechet"],
        "prior_better_by": table["prior"]["round_trip"] - max(w["round_trip"] for w in others),
    }


def inversion(exam: Exam) -> dict[str, Any]:
    """Mean absolute error of pixels, 0 … 1, of images inverted and decoded again."""
    rows = exam.held[exam.drawn[:INVERTED]]
    images = [Image.fromarray(exam.images.pixels[row]) for row in rows]
    points, steps = exam.points[rows], INVERSION_STEPS_FACTOR * exam.decoder.steps
    noise = exam.decoder.invert(images, points, Settings(steps=steps))
    again = exam.decoder.decode(
        points, Settings(steps=steps, guidance=1, solver="ddim"), noise=noise
    )
    errors = [
        np.abs(np.asarray(made, float) - np.asarray(image, float)).mean() / 255
        for made, image in zip(again, images, strict=True)
    ]
    return {"inverted": len(rows), "inversion_error": float(np.mean(errors))}


def costs(exam: Exam) -> dict[str, Any]:
    """Steps that are needed, and seconds."""
    some = exam.asked[:STEPPED]
    steps = cost.steps(exam.model, exam.decoder, some)
    return {"stepped": len(some), **steps, **cost.speed(exam.decoder, exam.asked)}


def measure(exam: Exam) -> dict[str, Any]:
    """All figures; one line a stage on stderr."""
    result: dict[str, Any] = {"space": exam.model.space.fingerprint}
    result |= {"decoder": exam.decoder.fingerprint, "seed": exam.seed}
    for stage in (retrieval, words, round_trips, ways, inversion, costs):
        start = time.perf_counter()
        result |= stage(exam)
        print(f"{stage.__name__}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return result


def contact_sheet(exam: Exam) -> Image.Image:
    """24 held-out images with their captions, and under each its decode."""
    rows = exam.held[exam.drawn[:SHEET]]
    originals = [Image.fromarray(exam.images.pixels[row]) for row in rows]
    made = list(exam.decoder.decode(exam.points[rows]))
    tiles, labels = [], []
    for start in range(0, SHEET, 8):
        part = slice(start, start + 8)
        tiles += [*originals[part], *made[part]]
        labels += [exam.images.caption(row) for row in rows[part]] + [""] * 8
    return grid(tiles, columns=8, labels=labels, size=128)


def main() -> None:
    """Read the command line, measure, write the card and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=FilePath, default=FilePath("training-run"), help="where images are"
    )
    parser.add_argument("--model", default="pocket", help="pocket, or pocket:FOLDER")
    parser.add_argument("--count", type=int, default=240, help="held-out images to decode")
    parser.add_argument("--seed", type=int, default=1, help="which of them")
    parser.add_argument(
        "--sheet", type=FilePath, default=FilePath("held-out.png"), help="contact sheet"
    )
    parser.add_argument(
        "--card", type=FilePath, help="the README.md beside the weights, if not given"
    )
    given = parser.parse_args()
    folder = FilePath(given.model.partition(":")[2] or FOLDER)
    start = time.perf_counter()
    exam = Exam(load(given.model, device="cpu"), data.load(given.work), given.count, given.seed)
    result = cost.loading(given.model, folder) | measure(exam)
    save_image(contact_sheet(exam), given.sheet)
    result["minutes"] = (time.perf_counter() - start) / 60
    card.write(given.card or folder / "README.md", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
