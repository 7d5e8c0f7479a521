"""Measure pocket on its held-out pairs: `python -m pocket.evaluate`.

Writes two sections of the model card, what is measured in pocket's own space and what a judge says
that did not train with it, and contact sheets; prints all figures as one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from PIL import Image

from explorer.decoder import INVERSION_STEPS_FACTOR
from explorer.geometry import slerp
from explorer.metrics import cosines, frechet, leading_axes, recall, three_ways
from explorer.models import load
from explorer.models.pocket import FOLDER
from explorer.notes import collecting
from explorer.settings import Settings
from pocket import (
    beyond,
    card,
    cost,
    data,
    judged,
    judged_edits,
    painted,
    sheets,
    textdiffs,
    verdicts,
)
from pocket.evaluation import Evaluation
from pocket.judge import Gallery, Judge, validate

SPACE, JUDGE = "space", "judge"  # what is measured: both, or one of them
VALIDATED = 150
AXES = 32  # for the Fréchet distance: few enough for the covariance of some hundred decodes
STEPS_IMAGES = 32  # decoded with every solver at every number of steps
INVERTED_IMAGES = 24


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


def stages(*steps: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Measure step by step; print one line a step to stderr."""
    result: dict[str, Any] = {}
    for step in steps:
        start = time.perf_counter()
        result |= step()
        name = getattr(step, "func", step).__name__
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return result


def measure(evaluation: Evaluation) -> dict[str, Any]:
    """Measure everything that pocket's own space says."""
    steps = (retrieval, words, round_trips, ways, inversion, costs)
    return known(evaluation) | stages(*(partial(step, evaluation) for step in steps))


def known(evaluation: Evaluation) -> dict[str, Any]:
    """What is measured."""
    result: dict[str, Any] = {"space": evaluation.model.space.fingerprint}
    return result | {"decoder": evaluation.decoder.fingerprint, "seed": evaluation.seed}


def judge(
    evaluation: Evaluation, gallery: Gallery, unseen: FilePath, folder: FilePath | None
) -> dict[str, Any]:
    """Measure everything that the judge says, and write its contact sheets into a folder."""
    judging = judged.Judging(evaluation, gallery)
    pairs = judged_edits.draw(evaluation.images, evaluation.seed, judging.part(12))
    edit = judged_edits.TextDiffs(judging, pairs)
    cases = painted.Painted(judging, painted.CASES)
    result = stages(
        partial(judged.of_images, judging),
        partial(judged_edits.measure, judging, edit),
        cases.measure,
        partial(judged.variations, judging),
        partial(judged.inversion, judging),
        partial(judged.midpoints, judging),
        partial(judged.unseen_style, evaluation.model, unseen),
    )
    if folder is not None:
        sheets.write(folder, judging, edit, cases)
    own = {
        "gallery": len(gallery.pixels),
        "count": evaluation.count,
        "judge": validate(gallery, VALIDATED),
    }
    return known(evaluation) | own | result


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("python -m pocket.evaluate", description=__doc__)
    parser.add_argument(
        "--work",
        type=FilePath,
        default=FilePath("training-run"),
        help="folder of the images",
    )
    parser.add_argument("--model", default="pocket", help="model: pocket, or pocket:FOLDER")
    parser.add_argument(
        "--count",
        type=int,
        default=240,
        help="held-out images to decode; the judge looks at parts of it",
    )
    parser.add_argument("--seed", type=int, default=1, help="random seed of their choice")
    parser.add_argument(
        "--sheets", type=FilePath, default=FilePath("docs"), help="folder of the contact sheets"
    )
    parser.add_argument("--only", choices=(SPACE, JUDGE), help="one half of the measures")
    parser.add_argument(
        "--card", type=FilePath, help="model card; default: README.md beside the weights"
    )
    return parser


def main() -> None:
    """Read the command line, measure, write the card and the contact sheets."""
    given = options().parse_args()
    folder = FilePath(given.model.partition(":")[2] or FOLDER)
    start = time.perf_counter()
    images = data.load(given.work)
    model = load(given.model, device="cpu")
    evaluation = Evaluation(model, images, given.count, given.seed, given.work)
    written, result = given.card or folder / "README.md", {}
    if given.only != JUDGE:
        result = cost.loading(given.model, folder) | measure(evaluation)
        result["minutes"] = (time.perf_counter() - start) / 60
        card.write(written, result)
    if given.only != SPACE:
        gallery = Gallery.of(Judge(), images, given.work / "judge.cache")
        with collecting():  # that a name has words which pocket does not know: they are measured
            result |= judge(evaluation, gallery, given.work / "unseen", given.sheets)
        result["minutes"] = (time.perf_counter() - start) / 60
        verdicts.write(written, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
