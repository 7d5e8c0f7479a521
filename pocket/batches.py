"""Batches for pocket's CLIP: images in disguise, with captions that are true of them.

Half of a batch is easily taken for each other. It knows no model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from pocket import disguise
from pocket.captions import Caption, holders, positives, sample, with_style
from pocket.clip import row_weights, to_tensor
from pocket.data import Glyph, Images
from pocket.disguise import Rules
from pocket.spelling import misspell
from pocket.tuning import SLIPS

if TYPE_CHECKING:
    import torch

BATCH = 128
DISGUISED = 0.5  # of the images get other looks and a caption that names no style
BLENDED = 0.3  # of those are mixed with another drawing of their glyph
WINDOWS, TOGETHER = 4, 16  # so many times a batch so many images are drawn from one window
ONE_STYLE = 0.5  # of the windows hold one style, so that a text diff has rivals
SIBLINGS, HANDS = 8, 4  # so many glyphs of a batch are shown as drawn in so many styles
REACH = 250  # images to either side, in Unicode's order of glyphs, that a window holds


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of the images, their images as they are shown and without disguise, a text for each,
    and images × texts, 1 where one fits.

    The first `siblings` are drawings of a few glyphs in several styles, without disguise, whose
    texts name the style.
    """

    rows: Int[np.ndarray, " N"]
    pixels: "Float[torch.Tensor, 'N C H W']"
    plain: "Float[torch.Tensor, 'N C H W']"
    texts: list[str]
    fits: "Float[torch.Tensor, 'N N']"
    styles: list[str]
    names: list[str]
    disguised: Bool[np.ndarray, " N"]
    siblings: int = 0

    def edits(
        self, rng: np.random.Generator
    ) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Bool[np.ndarray, "E N"]]:
        """Pairs of images of one style, neither disguised, and the images that the second must be
        told from, itself included.
        """
        styles, names = np.array(self.styles), np.array(self.names)
        shown = (styles[:, None] == styles) & ~self.disguised[:, None] & ~self.disguised
        rivals = shown & (names[:, None] != names)
        before = np.flatnonzero(rivals.sum(1) > 1)
        after = np.array([rng.choice(np.flatnonzero(rivals[i])) for i in before], dtype=np.int64)
        return before, after, rivals[before]


class Batches:
    """Draws images in disguise with captions that are true of them."""

    def __init__(self, images: Images, order: Mapping[str, int]) -> None:
        """Take the images, and the place of each hexcode in Unicode's order."""
        self.images = images
        self.weights = row_weights(images)
        self.styles = np.array(images.styles)
        self.rules = Rules.of(images.glyphs)
        self.drawn: dict[str, list[int]] = {}  # by hexcode, the rows that may be seen
        for row in np.flatnonzero(self.weights):
            self.drawn.setdefault(images.glyphs[row].hexcode, []).append(int(row))
        places = np.array([order[glyph.hexcode] for glyph in images.glyphs])
        self.ordered = np.array([row for row in np.argsort(places) if self.weights[row]])

    def siblings(self, rng: np.random.Generator) -> Int[np.ndarray, " S"]:
        """Draw a few glyphs, each in several styles."""
        some = rng.choice(len(self.weights), 4 * SIBLINGS, p=self.weights)
        codes = dict.fromkeys(self.images.glyphs[row].hexcode for row in some)
        many = [self.drawn[code] for code in codes if len(self.drawn[code]) >= HANDS][:SIBLINGS]
        chosen = [rng.choice(rows, HANDS, replace=False) for rows in many]
        return np.array(chosen, np.int64).reshape(-1)

    def rows(
        self, siblings: Int[np.ndarray, " S"], rng: np.random.Generator
    ) -> Int[np.ndarray, " B"]:
        """After the siblings, draw half a batch of images that are easily taken for each other, and
        fill it with anything.

        Unicode has faces beside faces and a farmer beside farmers, so that neighbours in its order
        are what a name must tell apart.
        """
        anything = rng.choice(len(self.weights), BATCH, replace=False, p=self.weights)
        near = []
        for centre in rng.choice(len(self.ordered), WINDOWS):
            window = self.window(centre, rng)
            shares = self.weights[window] / self.weights[window].sum()
            near.append(rng.choice(window, TOGETHER, replace=False, p=shares))
        drawn = np.concatenate([siblings, np.setdiff1d(np.concatenate(near), siblings)])
        return np.concatenate([drawn, anything[~np.isin(anything, drawn)]])[:BATCH]

    def window(self, centre: int, rng: np.random.Generator) -> Int[np.ndarray, " W"]:
        """Rows near a place of Unicode's order, of all styles or of one, where that has enough."""
        if rng.random() < ONE_STYLE:
            wide = self.ordered[max(0, centre - 4 * REACH) : centre + 4 * REACH]
            own = wide[self.styles[wide] == self.styles[self.ordered[centre]]]
            if len(own) > 2 * TOGETHER:
                return own
        return self.ordered[max(0, centre - REACH) : centre + REACH]

    def draw(self, rng: np.random.Generator, device: str) -> Batch:
        """Draw a batch."""
        import torch

        siblings = self.siblings(rng)
        rows = self.rows(siblings, rng)
        disguised = rng.random(BATCH) < DISGUISED
        disguised[: len(siblings)] = False
        glyphs = [self.images.glyphs[i] for i in rows]
        known = ["" if d else self.images.styles[i] for i, d in zip(rows, disguised, strict=True)]
        captions = [
            with_style(glyph, style, rng)
            if place < len(siblings)
            else truly(glyph, self.images.styles[i], style, rng)
            for place, (i, glyph, style) in enumerate(zip(rows, glyphs, known, strict=True))
        ]
        fits = torch.from_numpy(positives(captions, holders(glyphs, known), BATCH))
        texts = [misspell(c.text, rng) if rng.random() < SLIPS else c.text for c in captions]
        turned = self.rules.mirrors[rows] & (rng.random(BATCH) < 0.5)
        plain = disguise.mirror(to_tensor(self.images.pixels[rows], device), turned)
        pixels = disguise.move(plain, rng)
        mixed = np.flatnonzero(disguised & (rng.random(BATCH) < BLENDED))
        same = [self.drawn[glyphs[i].hexcode] for i in mixed]
        others = to_tensor(self.images.pixels[[s[rng.integers(len(s))] for s in same]], device)
        others = disguise.move(disguise.mirror(others, turned[mixed]), rng)
        pixels[mixed] = disguise.blend(pixels[mixed], others, rng)
        pixels = self.looks(pixels, self.rules[rows], disguised, rng)
        styles = [self.images.styles[i] for i in rows]
        names = [glyph.name for glyph in glyphs]
        told = (rows, pixels, plain, texts, fits.to(device), styles, names, disguised)
        return Batch(*told, len(siblings))

    def looks(
        self, pixels: "torch.Tensor", rules: Rules, disguised: np.ndarray, rng: np.random.Generator
    ) -> "torch.Tensor":
        """Give those in question other looks, and the others hardly other colours."""
        import torch

        for rows, strength in ((np.flatnonzero(~disguised), 0.3), (np.flatnonzero(disguised), 1.0)):
            made = disguise.colour(pixels[rows], rules[rows], rng, strength)
            pixels[rows] = disguise.redraw(made, rules[rows], rng) if strength == 1 else made
        return pixels.contiguous(memory_format=torch.channels_last)


def truly(glyph: Glyph, style: str, known: str, rng: np.random.Generator) -> Caption:
    """A caption of a drawing; if that would name a style that is not known, its bare name."""
    caption = sample(glyph, style, rng)
    if known or f"style {style}" not in caption.facts:
        return caption
    return Caption(glyph.name, frozenset({f"glyph {glyph.hexcode}"}))
