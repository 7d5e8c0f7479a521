"""What the judge says of text diffs: whether they arrive, and how steadily they go there.

Pairs of drawings whose names differ in one word, or of one glyph in two styles, edited at the
defaults of `edits.text_diff` with pocket. Nothing is looked up when pocket decodes, so that there
is nothing to leave out. Half of the targets were held out from training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from explorer.edits.swapping import towards_prior, towards_text
from explorer.noise import Noise
from explorer.path import Path
from explorer.points import Points
from explorer.settings import Settings
from pocket import textdiffs
from pocket.data import Images
from pocket.judge import Gallery, Pixels
from pocket.judged import FIVE, Judging, share

FRAMES = 4
STRIPS = 24
UNJUDGED = "skin tone"  # the judge does not tell tones apart


def draw(images: Images, seed: int, count: int) -> dict[str, Int[np.ndarray, "N 2"]]:
    """Draw pairs of every kind without skin tones; each drawing is the target of one at most.

    Args:
        count: of each kind, half of them with a target that was held out from training.
    """
    rng, drawn = np.random.default_rng(seed), {}
    plain = np.array([glyph.tone == 0 for glyph in images.glyphs])
    for kind, pairs in textdiffs.trials(images).items():
        if kind == UNJUDGED or not len(pairs):
            continue
        fitting = rng.permutation(pairs[plain[pairs].all(1)])
        _, first = np.unique(fitting[:, 1], return_index=True)
        once = fitting[np.sort(first)]
        new = images.held_out[once[:, 1]]
        drawn[kind] = np.concatenate([once[part][: count // 2] for part in (new, ~new)])
    return drawn


@dataclass(frozen=True, eq=False)
class TextDiffs:
    """Text diffs of pairs of drawings, with their frames.

    Args:
        through_prior: as for `edits.text_diff`; pocket's default goes through it.
        frames: of each, two or more.
    """

    judging: Judging
    kinds: dict[str, Int[np.ndarray, "N 2"]]
    through_prior: bool = True
    frames: int = FRAMES

    @cached_property
    def rows(self) -> Int[np.ndarray, "N 2"]:
        """All pairs."""
        return np.concatenate(list(self.kinds.values()))

    @cached_property
    def kind(self) -> np.ndarray:
        """The kind of every pair."""
        return np.repeat(list(self.kinds), [len(pairs) for pairs in self.kinds.values()])

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """What every first drawing is called, and what the second one."""
        images = self.judging.images
        return [
            (images.caption(a), images.caption(b))
            if kind == "style"
            else (images.glyphs[a].name, images.glyphs[b].name)
            for kind, (a, b) in zip(self.kind, self.rows, strict=True)
        ]

    @cached_property
    def points(self) -> Points:
        """The points of all frames, pair by pair."""
        aim: Callable[..., Any] = towards_prior if self.through_prior else towards_text
        model, parts = self.judging.model, []
        for start, said in zip(
            self.judging.evaluation.of(self.rows[:, 0]), self.texts, strict=True
        ):
            ends, _, how = aim(model, start, said, None)
            path = (
                Path.through(ends)
                if self.through_prior
                else Path.rotate(ends[:1], ends[1:], radians=how["radians"])
            )
            parts.append(path.sample(self.frames))
        return Points.concat(parts)

    @cached_property
    def start(self) -> tuple[Noise, Settings]:
        """The first drawings' own x_T, and the settings that lead back to them."""
        return self.judging.inverted(self.rows[:, 0])

    @cached_property
    def made(self) -> Pixels:
        """All frames, N × frames × H × W × C, from the first drawings' own x_T."""
        noise, settings = self.start
        each = np.repeat(np.arange(len(self.rows)), self.frames)
        made = self.judging.decoded(self.points, settings, noise[each])
        return made.reshape(len(self.rows), self.frames, *made.shape[1:])

    def arrived(self, pixels: Pixels, side: int = 1) -> dict[str, dict[str, Any]]:
        """Shares, by kind and over all, of images that are named as the drawings of a side.

        Of a change of style, the drawing itself is what is to be found, not its glyph alone.
        """
        gallery, images = self.judging.gallery, self.judging.images
        found, rows = gallery.nearest(pixels, FIVE), self.rows[:, side]
        glyphs, styled = self.judging.glyphs(rows), self.kind == "style"
        styles = np.array([images.styles[row] for row in rows])
        near = np.where(styled[:, None], joined(gallery, found), gallery.glyphs[found])
        both = np.array([f"{g}/{s}" for g, s in zip(glyphs, styles, strict=True)])
        wanted = np.where(styled, both, glyphs)
        parts = {kind: self.kind == kind for kind in self.kinds}
        parts["target held out"] = images.held_out[self.rows[:, 1]]
        parts["all"] = np.ones(len(rows), bool)
        return {name: share(near[part], wanted[part]) for name, part in parts.items()}

    def places(self) -> Float[np.ndarray, "N T"]:
        """How much more each frame is like the second drawing than like the first, by the judge."""
        gallery, (first, second) = self.judging.gallery, self.ends()
        seen = gallery.read(self.made.reshape(-1, *self.made.shape[2:]))
        seen = seen.reshape(len(self.rows), self.frames, -1)
        found: np.ndarray = np.einsum("ntf,nf->nt", seen, second - first)
        return found

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The judge's features of both drawings."""
        pixels = self.judging.images.pixels[self.rows]
        return self.judging.gallery.read(pixels[:, 0]), self.judging.gallery.read(pixels[:, 1])

    def steady(self) -> dict[str, float]:
        """Share of frames that are a step towards the target, and how much of the way they go."""
        (first, second), places = self.ends(), self.places()
        start, end = (np.einsum("nf,nf->n", each, second - first) for each in (first, second))
        return {
            "steady": float((np.diff(places, axis=1) > 0).mean()),
            "gone": float(((places[:, -1] - places[:, 0]) / (end - start)).mean()),
            "nearer": float((places[:, -1] > (start + end) / 2).mean()),
        }


def joined(gallery: Gallery, found: Int[np.ndarray, "N k"]) -> np.ndarray:
    """Glyph and style of drawings, as one word."""
    words = np.char.add(np.char.add(gallery.glyphs.astype(str), "/"), gallery.styles.astype(str))
    return words[found]


def faded(judging: Judging, rows: Int[np.ndarray, "N 2"], frames: int) -> Pixels:
    """Cross-fades of pairs of drawings: what moves steadily, and shows nothing in between."""
    one, other = (judging.images.pixels[rows[:, side]].astype(float) for side in (0, 1))
    weights = np.linspace(0, 1, frames)[None, :, None, None, None]
    mixed = one[:, None] * (1 - weights) + other[:, None] * weights
    return mixed.round().astype(np.uint8)


class Fades(TextDiffs):
    """Cross-fades in place of the frames that were decoded."""

    @cached_property
    def made(self) -> Pixels:
        """The fades."""
        return faded(self.judging, self.rows, self.frames)


def measure(judging: Judging, edit: TextDiffs) -> dict[str, Any]:
    """Text diffs at the default, and rotated; targets held out; steadiness."""
    targets = judging.evaluation.of(edit.rows[:, 1])
    ceiling = edit.arrived(judging.decoded(targets))
    unedited, last = edit.arrived(edit.made[:, 0]), edit.arrived(edit.made[:, -1])
    rotated = TextDiffs(judging, edit.kinds, through_prior=False)
    vars(rotated)["start"] = edit.start
    turned = rotated.arrived(rotated.made[:, -1])
    kinds = {
        kind: row
        | {"unedited": unedited[kind]["five"], "ceiling": ceiling[kind]["five"]}
        | {"rotated": turned[kind]["five"]}
        for kind, row in last.items()
    }
    ways = {"through the prior, the default": edit, "rotated": rotated}
    ways["cross-fade of the two drawings"] = Fades(judging, edit.kinds)
    for row in (kinds["all"], kinds["target held out"]):
        beside = {"unedited": "unedited", "rotated": "rotated", "the target's own point": "ceiling"}
        row["beside"] = {name: row[key] for name, key in beside.items()}
    steady = {name: way.steady() for name, way in ways.items()}
    return {
        "text_diffs_judged": kinds,
        "named_text_diffs": kinds["all"],
        "named_text_diffs_held_out": kinds["target held out"],
        "steadiness": steady,
        "steady": steady["through the prior, the default"]["steady"],
    }


def strips(edit: TextDiffs, count: int = STRIPS) -> tuple[list[Image.Image], list[str]]:
    """Random text diffs, each as its frames and the target drawing, with their words."""
    chosen = np.random.default_rng(0).permutation(len(edit.rows))[:count]
    tiles, labels = [], []
    for i in chosen:
        tiles += [Image.fromarray(frame) for frame in edit.made[i]]
        tiles += edit.judging.drawings(edit.rows[i, 1:])
        labels += [edit.texts[i][0], *[""] * (edit.frames - 1), edit.texts[i][1]]
    return tiles, labels
