"""What examples are chosen from: sample drawings, changed by words in several ways, and judged.

Subjects are those that anyone likes to look at: animals, food, places and things, no person's skin.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path as FilePath

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from explorer import edits
from explorer.edits.swapping import KEPT, SAMPLES
from explorer.geometry import slerp
from explorer.models import Model
from explorer.noise import Noise
from explorer.points import Points
from explorer.samples import IMAGES, Example
from explorer.settings import Settings
from pocket import textdiffs
from pocket.data import STYLES, Glyph, Images
from pocket.judge import sharpness
from pocket.judged import Judging
from pocket.unseen import turned, unit

GROUPS = (3, 4, 5, 6, 7)  # animals and nature, food, places, activities, things: no person's skin
FRACTIONS = (0.5, 0.75)
WAYS: tuple[tuple[float | None, bool], ...] = (*((f, False) for f in FRACTIONS), (None, True))
TRIED = 240  # text diffs that are decoded, over all ways
WALKS = 60  # pairs of which the middle is decoded
WORDS = 120  # names that are decoded
FRAMES = 8


@dataclass(frozen=True)
class Trial:
    """A sample drawing that is to become another one, and by which way."""

    start: int
    target: int
    fraction: float | None
    through_prior: bool


@dataclass(frozen=True, eq=False)
class Choice:
    """What there is to choose from.

    Args:
        tried: text diffs that are decoded, over all ways.
    """

    judging: Judging
    tried: int = TRIED

    @property
    def model(self) -> Model:
        """The model whose edits are tried."""
        return self.judging.model

    @property
    def images(self) -> Images:
        """All drawings."""
        return self.judging.images

    @cached_property
    def rows(self) -> list[int]:
        """Sample drawings of what anyone likes to look at."""
        return [
            row
            for row, (glyph, style) in enumerate(
                zip(self.images.glyphs, self.images.styles, strict=True)
            )
            if (glyph.group in GROUPS or glyph.name.endswith("heart"))
            and glyph.tone == 0
            and file_of(glyph, style).exists()
        ]

    @cached_property
    def points(self) -> Points:
        """The points of these drawings."""
        return self.judging.evaluation.of(self.rows)

    def at(self, trials: list[Trial], end: str) -> Int[np.ndarray, " N"]:
        """Where the starts or targets of trials stand among these drawings."""
        return np.searchsorted(self.rows, [getattr(trial, end) for trial in trials])

    @cached_property
    def texts(self) -> dict[str, int]:
        """The names of these drawings, numbered."""
        names = sorted({self.images.glyphs[row].name for row in self.rows})
        return {name: i for i, name in enumerate(names)}

    @cached_property
    def read(self) -> Float[np.ndarray, "T D"]:
        """Unit points of the names."""
        return self.model.encoder.encode_text(list(self.texts)).unit

    @cached_property
    def carried(self) -> Float[np.ndarray, "T D"]:
        """The mean of what the prior makes of each name."""
        prior, names = self.judging.evaluation.prior, list(self.texts)
        drawn = (prior.sample(names, seed=seed, candidates=1) for seed in range(SAMPLES))
        return np.mean([points.vectors for points in drawn], axis=0)

    @cached_property
    def pairs(self) -> Int[np.ndarray, "N 2"]:
        """Drawings of one style whose names differ in one word, at random.

        Of pairs drawn at random among all of a group, 4 of 240 arrived.
        """
        glyphs = {self.images.glyphs[row].hexcode: self.images.glyphs[row] for row in self.rows}
        row = {(self.images.glyphs[r].hexcode, self.images.styles[r]): r for r in self.rows}
        found = np.array([
            (row[a, style], row[b, style])
            for a, b in textdiffs.pairs(list(glyphs.values()), phrases)
            for style in STYLES
            if (a, style) in row and (b, style) in row
        ])  # fmt: skip
        seed = self.judging.evaluation.seed
        return found[np.random.default_rng(seed).permutation(len(found))]

    def trials(self) -> list[Trial]:
        """Every way of changing one drawing into another, of `tried` in all."""
        chosen = [tuple(pair) for pair in self.pairs if pair[0] in self.starts]
        made = [Trial(int(a), int(b), *way) for a, b in chosen for way in WAYS]
        return sorted(made[: self.tried], key=lambda trial: trial.start)

    def vectors(self, trials: list[Trial]) -> Float[np.ndarray, "N D"]:
        """The edited points, as `edits.text_diff` makes them."""
        points = self.points[self.at(trials, "start")]
        names = [
            [self.texts[self.images.glyphs[row].name] for row in (trial.start, trial.target)]
            for trial in trials
        ]
        before, after = np.array(names).T
        fractions = np.array([[trial.fraction or 0.0] for trial in trials])
        rotated = turned(points.unit, self.read[after] - self.read[before], fractions)
        swapped = unit(self.carried[after] + KEPT * (points.vectors - self.carried[before]))
        prior = np.array([[trial.through_prior] for trial in trials])
        found: np.ndarray = np.where(prior, swapped, rotated) * points.norms[:, None]
        return found

    @cached_property
    def starts(self) -> Int[np.ndarray, " S"]:
        """The drawings that are changed: those of the first pairs."""
        _, first = np.unique(self.pairs[:, 0], return_index=True)
        return np.sort(self.pairs[np.sort(first), 0][: max(2, self.tried // len(WAYS))])

    @cached_property
    def noise(self) -> tuple[Noise, Settings]:
        """Their x_T, and the settings that lead back to them."""
        return self.judging.inverted(self.starts)

    def ends(self, trials: list[Trial]) -> Float[np.ndarray, " N"]:
        """How clearly the judge sees the target in the last frame; at most 0 where it does not."""
        each = np.searchsorted(self.starts, [trial.start for trial in trials])
        noise, settings = self.noise
        points = Points(self.vectors(trials).astype(np.float32), self.model.space, "image")
        made = self.judging.decoded(points, settings, noise[each])
        return self.clear(made, np.array([trial.target for trial in trials]))

    def clear(
        self, pixels: np.ndarray, targets: np.ndarray, but: np.ndarray | None = None
    ) -> Float[np.ndarray, " N"]:
        """Similarity with the nearest drawing of the glyph, less that with any other's.

        Args:
            but: drawings of glyphs that do not count as others.
        """
        gallery = self.judging.gallery
        scores = gallery.read(pixels) @ gallery.units.T
        right = self.judging.glyphs(targets)[:, None] == gallery.glyphs
        if but is not None:
            scores[self.judging.glyphs(but)[:, None] == gallery.glyphs] = -1
        found: np.ndarray = np.where(right, scores, -1).max(1) - np.where(right, -1, scores).max(1)
        return found

    def example(self, trial: Trial) -> Example:
        """The trial as it is shipped."""
        start, target = (self.file(row) for row in (trial.start, trial.target))
        before, after = (self.images.glyphs[row].name for row in (trial.start, trial.target))
        return Example(start, target, before, after, trial.fraction, trial.through_prior)

    def file(self, row: int) -> FilePath:
        """The sample's file of a drawing."""
        return file_of(self.images.glyphs[row], self.images.styles[row])

    def looked_at(self, trial: Trial) -> tuple[float, list[Image.Image]]:
        """Judge all frames of the product's own call: arrival, steadiness, sharpness together."""
        example = self.example(trial)
        edit = edits.text_diff(self.model, example.start, frames=FRAMES, **example.options)
        frames = np.stack([np.asarray(frame) for frame in edit])
        ends = self.judging.gallery.read(self.images.pixels[[trial.start, trial.target]])
        places = self.judging.gallery.read(frames) @ (ends[1] - ends[0])
        steady = float((np.diff(places) > 0).mean())
        crisp = sharpness(frames) / sharpness(self.images.pixels[[trial.target]])
        clear = float(self.clear(frames[-1:], np.array([trial.target]))[0])
        return clear + 0.2 * steady + 0.2 * float(np.minimum(crisp, 1).mean()), list(edit)

    def walks(self) -> list[tuple[float, int, int]]:
        """Pairs of one style, with how clearly one of them is to be seen half-way between."""
        rows, (noise, settings) = self.starts, self.noise
        styles = [self.images.styles[row] for row in rows]
        pairs = [(i, j) for i, j in combinations(range(len(rows)), 2) if styles[i] == styles[j]]
        first, second = np.random.default_rng(0).permutation(pairs)[:WALKS].T
        points = self.judging.evaluation.of(rows)
        middle = slerp(points[first], points[second], 0.5)
        between = Noise.slerp(noise[first], noise[second], 0.5)
        made = self.judging.decoded(middle, settings, between)
        seen = [self.clear(made, rows[end], rows[other]) for end, other in
                ((first, second), (second, first))]  # fmt: skip
        scores = np.maximum(*seen)
        return sorted(zip(scores.tolist(), rows[first].tolist(), rows[second].tolist(),
                          strict=True), reverse=True)  # fmt: skip

    def words(self) -> list[tuple[float, str]]:
        """Some names, with how clearly what the prior and the decoder make of them is seen."""
        names = np.random.default_rng(0).permutation(list(self.texts))[:WORDS].tolist()
        made = self.judging.decoded(self.judging.evaluation.prior.sample(names))
        code = {glyph.name: row for row, glyph in enumerate(self.images.glyphs)}
        clear = self.clear(made, np.array([code[name] for name in names]))
        return sorted(zip(clear.tolist(), names, strict=True), reverse=True)


def phrases(glyph: Glyph) -> Iterator[str]:
    """The names of several words with one word blank; no hours of a clock."""
    several = " " in glyph.name and "o’clock" not in glyph.name
    return textdiffs.blanked(glyph) if several else iter(())


def file_of(glyph: Glyph, style: str) -> FilePath:
    """Where the sample library has a drawing, if it has it."""
    return IMAGES / style / f"{glyph.hexcode.lower()}.png"
