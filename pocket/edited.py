"""Which edit arrives, by the judge: `python -m pocket.edited`, prints a table.

Pairs of drawings of one style whose names differ in one word, and drawings of one glyph in two
styles. Each edit makes a point of the first one's; its decode is to be named as the second one.
Targets may have been seen in training; nothing is looked up in it at decode time.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
from jaxtyping import Int
from PIL import Image

from explorer import load
from explorer.edits.swapping import SAMPLES
from explorer.models import Model
from explorer.noise import Noise
from explorer.points import Points
from explorer.settings import Settings
from pocket import data, textdiffs
from pocket.data import Images
from pocket.judge import Gallery, Judge
from pocket.unseen import turned, unit

PAIRS = 24  # of each kind
FRACTIONS = (0.25, 0.5, 0.75)
KEPT = (0.35, 0.5, 0.7, 1.0)
SEED = 3


@dataclass(frozen=True, eq=False)
class Trials:
    """Pairs of drawings, their points, and the texts that say how they differ."""

    model: Model
    images: Images
    rows: Int[np.ndarray, "N 2"]
    texts: list[tuple[str, str]]

    @classmethod
    def of(cls, model: Model, images: Images) -> "Trials":
        """Draw pairs without skin tones, which the judge does not tell apart."""
        rng, rows, texts = np.random.default_rng(SEED), [], []
        plain = np.array([glyph.tone == 0 for glyph in images.glyphs])
        for kind, pairs in textdiffs.trials(images).items():
            if kind == "skin tone":
                continue
            pairs = pairs[plain[pairs].all(1)]
            for a, b in pairs[rng.permutation(len(pairs))[:PAIRS]]:
                named = images.glyphs[a].name, images.glyphs[b].name
                rows.append((a, b))
                texts.append((images.caption(a), images.caption(b)) if kind == "style" else named)
        return cls(model, images, np.array(rows), texts)

    def points(self, side: int) -> Points:
        """Points of the first drawings, or of the second ones."""
        pixels = self.images.pixels[self.rows[:, side]]
        return self.model.encoder.encode_images(list(map(Image.fromarray, pixels)))

    def inverted(self) -> tuple[Noise, Settings]:
        """The x_T of the first drawings, from which `unclip diff` starts, and its settings."""
        assert self.model.decoder is not None
        settings = self.model.decoder.resolve(Settings(), inverted=True)
        images = [Image.fromarray(self.images.pixels[row]) for row in self.rows[:, 0]]
        return self.model.decoder.invert(images, self.points(0), settings), settings

    def prior(self, side: int) -> np.ndarray:
        """The mean of several samples of the prior for each text."""
        assert self.model.prior is not None
        texts = [pair[side] for pair in self.texts]
        drawn = (self.model.prior.sample(texts, seed=s, candidates=1) for s in range(SAMPLES))
        return np.mean([points.vectors for points in drawn], axis=0)

    def edits(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every edit's name and vectors, of the length of the points that they start from."""
        start, end = self.points(0), self.points(1)
        length, u = np.linalg.norm(start.vectors, axis=1, keepdims=True), start.unit
        before, after = (
            self.model.encoder.encode_text([pair[i] for pair in self.texts]).unit for i in (0, 1)
        )
        old, new = self.prior(0), self.prior(1)
        yield "none: the first drawing's own point", start.vectors
        for fraction in FRACTIONS:
            yield f"turned by {fraction} of the angle", length * turned(u, after - before, fraction)
        yield "texts swapped, half kept", length * unit(after + 0.5 * (u - before))
        yield "the prior's mean, nothing kept", length * unit(new)
        for kept in KEPT:
            swapped = unit(new + kept * (start.vectors - old))
            yield f"swapped through the prior, {kept} kept", length * swapped
        yield "the second drawing's own point: the ceiling", end.vectors


def measure(
    trials: Trials, gallery: Gallery, noise: Noise | None, settings: Settings
) -> Iterator[tuple[str, float, float, float, float]]:
    """Name of each edit; named rightly first, and among five; the second one's style; cosine."""
    second = trials.rows[:, 1]
    glyphs = np.array([trials.images.glyphs[row].hexcode for row in second])
    styles = np.array([trials.images.styles[row] for row in second])
    aims = trials.points(1).unit
    assert trials.model.decoder is not None
    for name, vectors in trials.edits():
        labels = tuple(map(str, range(len(vectors))))
        points = Points(vectors.astype(np.float32), trials.model.space, "image", labels)
        decoded = trials.model.decoder.decode(points, settings, noise)
        made = np.stack([np.asarray(image) for image in decoded])
        scores = gallery.read(made) @ gallery.units.T
        order = np.argsort(-scores, axis=1)[:, :5]
        right = gallery.glyphs[order] == glyphs[:, None]
        kept = gallery.styles[order[:, 0]] == styles
        cosine = np.einsum("nd,nd->n", points.unit, aims)
        shares = right[:, 0].mean(), right.any(1).mean(), kept.mean(), cosine.mean()
        first, five, style, near = map(float, shares)
        yield name, first, five, style, near


def main() -> None:
    """Read the command line; print the table line by line."""
    parser = argparse.ArgumentParser("python -m pocket.edited", description=__doc__)
    parser.add_argument("--work", type=FilePath, default=FilePath("training-run"))
    parser.add_argument("--model", default="pocket", help="pocket, or pocket:FOLDER")
    parser.add_argument(
        "--inverted", action="store_true", help="start from the x_T of the drawings, not the seed"
    )
    given = parser.parse_args()
    images = data.load(given.work)
    trials = Trials.of(load(given.model, device="cpu"), images)
    noise, settings = trials.inverted() if given.inverted else (None, Settings())
    print(
        f"{len(trials.rows)} pairs\n\n| point decoded | named first | among five | style | cosine |"
    )
    print("| --- | --- | --- | --- | --- |", flush=True)
    for name, *figures in measure(trials, Gallery.of(Judge(), images), noise, settings):
        print(f"| {name} | {' | '.join(f'{x:.2f}' for x in figures)} |", flush=True)


if __name__ == "__main__":
    main()
