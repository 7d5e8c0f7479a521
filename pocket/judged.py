"""What the judge says of pocket: decodes of images, of words and of what lies between, variations.

Returns tables for the card. Each share stands beside chance, which is what the same images score
for one another's glyphs, and beside what real drawings score where pocket's images stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped
from PIL import Image

from explorer.geometry import slerp
from explorer.metrics import recall
from explorer.models import Model
from explorer.noise import Noise
from explorer.points import Points
from explorer.settings import Settings
from pocket import unseen
from pocket.data import Images
from pocket.evaluation import Evaluation
from pocket.judge import Gallery, Pixels, blurred, holding, jittered, sharpness

ETAS = (0.3, 1.0)
SEEDS = 3  # variations of each
STEPS = (8, 24, 50)
FIVE = 5
GRAIN = 10  # standard deviation of noise on blots, of 255
DEFAULT = Settings()


@dataclass(frozen=True, eq=False)
class Judging:
    """What is judged, and by which gallery; images are decoded when they are first asked for."""

    evaluation: Evaluation
    gallery: Gallery

    def part(self, of: int) -> int:
        """One of so many parts of the evaluation's count, two or more."""
        return max(2, self.evaluation.count // of)

    @property
    def model(self) -> Model:
        """The model that is judged."""
        return self.evaluation.model

    @property
    def images(self) -> Images:
        """All drawings."""
        return self.evaluation.images

    @cached_property
    def rows(self) -> Int[np.ndarray, " N"]:
        """Held-out drawings without a skin tone, which the judge does not tell apart."""
        held = self.evaluation.held
        plain = held[[self.images.glyphs[row].tone == 0 for row in held]]
        order = np.random.default_rng(self.evaluation.seed).permutation(len(plain))
        return plain[order[: self.part(2)]]

    @cached_property
    def seen(self) -> Int[np.ndarray, " N"]:
        """As many drawings that training saw, likewise without a tone."""
        tones = np.array([glyph.tone for glyph in self.images.glyphs])
        trained = np.flatnonzero((tones == 0) & ~self.images.held_out)
        rng = np.random.default_rng(self.evaluation.seed)
        return rng.choice(trained, min(len(self.rows), len(trained)), replace=False)

    def glyphs(self, rows: Int[np.ndarray, " N"]) -> Shaped[np.ndarray, " N"]:
        """Hexcodes of drawings."""
        return np.array([self.images.glyphs[row].hexcode for row in rows])

    def drawings(self, rows: Int[np.ndarray, " N"]) -> list[Image.Image]:
        """The drawings as images."""
        return [Image.fromarray(self.images.pixels[row]) for row in rows]

    def decoded(
        self, points: Points, settings: Settings = DEFAULT, noise: Noise | None = None
    ) -> Pixels:
        """Decode points, at the defaults but for what is said."""
        made = self.evaluation.decoder.decode(points, settings, noise)
        return np.stack([np.asarray(image) for image in made])

    def inverted(self, rows: Int[np.ndarray, " N"], **options: Any) -> tuple[Noise, Settings]:
        """Find the drawings' x_T as edits do, and the settings that lead back to them."""
        decoder = self.evaluation.decoder
        settings = decoder.resolve(Settings(**options), inverted=True)
        points = self.evaluation.of(rows)
        return decoder.invert(self.drawings(rows), points, settings), settings

    @cached_property
    def held_out(self) -> Pixels:
        """Decodes of the held-out drawings' own points."""
        return self.decoded(self.evaluation.of(self.rows))

    @cached_property
    def worded(self) -> Pixels:
        """Decodes of where the prior takes the held-out drawings' captions."""
        captions = [self.images.caption(row) for row in self.rows]
        return self.decoded(self.evaluation.prior.sample(captions))

    @cached_property
    def pairs(self) -> Int[np.ndarray, "N 2"]:
        """Pairs of held-out drawings between which lies a midpoint."""
        count = min(self.part(12), len(self.rows) // 2)
        return self.rows[: 2 * count].reshape(2, -1).T


def share(nearest: Shaped[np.ndarray, "N k"], wanted: np.ndarray) -> dict[str, Any]:
    """Shares that are named first and among all, and the latter for one another's glyphs.

    >>> share(np.array([["cat", "dog"], ["owl", "fox"]]), np.array(["dog", "owl"]))
    {'images': 2, 'first': 0.5, 'five': 1.0, 'chance': 0.0}
    """
    n = len(nearest)
    shifted = [holding(nearest, np.roll(wanted, k, axis=0)).mean() for k in range(1, n)]
    return {
        "images": n,
        "first": float(holding(nearest[:, :1], wanted).mean()),
        "five": float(holding(nearest, wanted).mean()),
        "chance": float(np.mean(shifted)) if shifted else 0.0,
    }


def named(judging: Judging, pixels: Pixels, wanted: np.ndarray) -> dict[str, Any]:
    """The shares of images that are named rightly; `wanted` as for `Gallery.named`."""
    gallery = judging.gallery
    return share(gallery.glyphs[gallery.nearest(pixels, FIVE)], wanted)


def of_images(judging: Judging) -> dict[str, Any]:
    """Held-out drawings and their captions, decoded; and how sharp the decodes are."""
    glyphs, real = judging.glyphs(judging.rows), judging.images.pixels[judging.rows]
    moved = named(judging, jittered(real, np.random.default_rng(0)), glyphs)
    held_out = named(judging, judging.held_out, glyphs)
    known = judging.decoded(judging.evaluation.of(judging.seen))
    learnt = named(judging, known, judging.glyphs(judging.seen))
    beside = {
        "drawings that training saw": learnt["five"],
        "the drawing itself, moved and scaled": moved["five"],
    }
    own = {"the drawing's own point, decoded": held_out["five"]}
    return {
        "named_held_out": held_out | {"beside": beside},
        "named_words": named(judging, judging.worded, glyphs) | {"beside": own},
        "sharp": sharp(real, judging.held_out),
    }


def sharp(real: Pixels, made: Pixels) -> dict[str, float]:
    """Sharpness as a part of each real drawing's, where more than all counts as all."""
    whole = np.maximum(sharpness(real), 1e-9)

    def part(pixels: Pixels) -> float:
        return float(np.minimum(sharpness(pixels) / whole, 1).mean())

    blurs = {f"blur of {radius} pixels": part(blurred(real, radius)) for radius in (0.5, 1, 2, 8)}
    grain = np.random.default_rng(0).normal(0, GRAIN, real.shape)
    blots = (blurred(real, 2) + grain).clip(0, 255).astype(np.uint8)
    controls = {"real drawings": part(real), **blurs, "blur of 2 pixels and grain": part(blots)}
    return {"decodes": part(made), **controls}


def midpoints(judging: Judging) -> dict[str, Any]:
    """Halfway between two held-out drawings: is one of them, or are both, to be seen?"""
    first, second = judging.pairs.T
    either = np.stack([judging.glyphs(first), judging.glyphs(second)], axis=1)
    middle = slerp(judging.evaluation.of(first), judging.evaluation.of(second), 0.5)
    (one, settings), (other, _) = judging.inverted(first), judging.inverted(second)
    own = judging.decoded(middle, settings, Noise.slerp(one, other, 0.5))
    real = judging.images.pixels
    mixed = ((real[first].astype(int) + real[second]) // 2).astype(np.uint8)
    seeds = named(judging, judging.decoded(middle), either)["five"]
    averaged = named(judging, mixed, either)["five"]
    beside = {"one noise for all": seeds, "the average of both drawings' pixels": averaged}
    return {"named_midpoints": named(judging, own, either) | {"beside": beside}}


def variations(judging: Judging) -> dict[str, Any]:
    """Variations at several η: how far apart they lie, and whether they are named as the image."""
    rows = judging.rows[: judging.part(24)]
    noise, settings = judging.inverted(rows)
    each = np.repeat(np.arange(len(rows)), SEEDS)
    seeds = tuple(range(SEEDS)) * len(rows)
    table = {}
    for eta in ETAS:
        varied = replace(settings, eta=eta, seed=seeds)
        made = judging.decoded(judging.evaluation.of(rows)[each], varied, noise[each])
        groups = made.reshape(len(rows), SEEDS, *made.shape[1:]).astype(float) / 255
        spread = float(groups.std(1).mean())
        table[eta] = named(judging, made, judging.glyphs(rows[each])) | {"spread": spread}
    low, high = table[ETAS[0]], table[ETAS[-1]]
    return {
        "variations": table,
        "spread_ratio": high["spread"] / max(low["spread"], 1e-9),
        "variations_named": min(row["five"] for row in table.values()),
    }


def inversion(judging: Judging) -> dict[str, Any]:
    """The standard deviation of inverted noise, and the error of pixels, at several steps."""
    rows, table = judging.rows[: judging.part(24)], {}
    real = judging.images.pixels[rows].astype(float)
    for steps in STEPS:
        noise, settings = judging.inverted(rows, steps=steps)
        made = judging.decoded(judging.evaluation.of(rows), settings, noise)
        spread = noise.latents.reshape(len(rows), -1).std(1)
        error = float(np.abs(made - real).mean() / 255)
        table[steps] = {"std": float(np.median(spread)), "error": error}
    return {
        "inversion": table,
        "inversion_std_off": max(abs(row["std"] - 1) for row in table.values()),
        "inversion_error": max(row["error"] for row in table.values()),
    }


def unseen_style(model: Model, folder: FilePath) -> dict[str, float | None]:
    """Each name finds its drawing among all of OpenMoji's, a style that pocket never saw."""
    if not (folder / "openmoji.npz").exists():
        return {"unseen_at_1": None, "unseen_at_10": None}
    images = unseen.openmoji(folder)
    drawings = model.encoder.encode_images(list(map(Image.fromarray, images.pixels)))
    texts: Sequence[str] = [glyph.name for glyph in images.glyphs]
    scores = model.encoder.encode_text(list(texts)).unit @ drawings.unit.T
    right = np.arange(len(texts))
    return {f"unseen_at_{k}": recall(scores, right, k) for k in (1, 10)}
