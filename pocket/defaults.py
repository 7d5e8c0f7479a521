"""Which guidance, solver and steps to decode with, by the judge: `python -m pocket.defaults`.

Prints a table. The held-out drawings are others than those of the card, so that the card's figures
are of drawings by which nothing was chosen.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path as FilePath

import numpy as np

from explorer import load
from explorer.models import Model
from explorer.notes import collecting
from explorer.settings import Settings, Solver
from pocket import data
from pocket.evaluation import Evaluation
from pocket.judge import Gallery, Judge, sharpness
from pocket.judged import FIVE, Judging

COUNT = 96
STEPS = 8
SOLVERS: tuple[Solver, ...] = ("dpm", "unipc")
GUIDANCES = (1, 1.5, 2, 2.5, 3)
FEWER = (3, 4, 5, 6, 12, 50)  # steps, at the solver and guidance of the model
CARD_SEED, SEED = 1, 5


def trials(model: Model) -> Iterator[Settings]:
    """Every solver at every guidance, then the model's own at other numbers of steps."""
    for solver in SOLVERS:
        for guidance in GUIDANCES:
            yield Settings(steps=STEPS, guidance=guidance, solver=solver)
    assert model.decoder is not None
    for steps in FEWER:
        yield model.decoder.resolve(Settings(steps=steps))


def measure(judging: Judging, rows: np.ndarray) -> Iterator[list[str]]:
    """The rows of the table, one as soon as it is measured."""
    images, gallery, glyphs = judging.images, judging.gallery, judging.glyphs(rows)
    real = sharpness(images.pixels[rows])
    points = judging.evaluation.of(rows)
    words = judging.evaluation.prior.sample([images.caption(row) for row in rows])
    for settings in trials(judging.model):
        own, told = (judging.decoded(each, settings) for each in (points, words))
        off = np.abs(own.astype(float) - images.pixels[rows]).mean() / 255
        figures = [gallery.named(each, glyphs, FIVE).mean() for each in (own, told)]
        figures += [np.minimum(1, sharpness(own) / real).mean(), off]
        tried = [str(settings.solver), f"{settings.guidance:g}", str(settings.steps)]
        yield tried + [f"{figure:.2f}" for figure in figures]


def others(judging: Judging, count: int, seed: int) -> np.ndarray:
    """Rows of held-out drawings that are not judged for the card."""
    images = judging.images
    plain = np.array([glyph.tone == 0 for glyph in images.glyphs]) & images.held_out
    plain[judging.rows] = False
    return np.random.default_rng(seed).permutation(np.flatnonzero(plain))[:count]


def main() -> None:
    """Read the command line; print the table line by line."""
    parser = argparse.ArgumentParser("python -m pocket.defaults", description=__doc__)
    parser.add_argument("--work", type=FilePath, default=FilePath("training-run"))
    parser.add_argument("--model", default="pocket", help="pocket, or pocket:FOLDER")
    parser.add_argument("--count", type=int, default=144, help="that of the card")
    given = parser.parse_args()
    images = data.load(given.work)
    gallery = Gallery.of(Judge(), images, given.work / "judge.cache")
    model = load(given.model, device="cpu")
    judging = Judging(Evaluation(model, images, given.count, CARD_SEED), gallery)
    columns = ("solver", "guidance", "steps", "own point, named", "words, named", "sharp", "error")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)
    with collecting():  # that a name has words which pocket does not know
        for row in measure(judging, others(judging, COUNT, SEED)):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
