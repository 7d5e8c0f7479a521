"""In-painting by words, judged: twenty cases of a hat put on, another colour, another expression.

A hat is there if the part that was painted is named as a hat by itself. Another colour or
expression is there if the whole is named as what was asked for, and nearer to its drawing than to
the one that it was. The same is asked of the image as it was, and of one into which the real
drawing was pasted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from explorer.edits import inpaint
from explorer.edits.keyframes import Box
from pocket.judge import holding
from pocket.judged import FIVE, Judging

HATS = ("top hat", "woman’s hat", "billed cap", "cowboy hat face", "graduation cap")
OVER_HEAD: Box = (10, 0, 44, 24)
FEATURES: Box = (10, 14, 44, 44)  # of a face
BODY: Box = (4, 4, 56, 56)


@dataclass(frozen=True)
class Case:
    """A drawing, the box that is painted, and the words for the whole.

    Args:
        wanted: a glyph's name; none stands for a hat.
    """

    name: str
    style: str
    box: Box
    text: str
    wanted: str = ""


CASES = (
    *(
        Case(f"{animal} face", style, OVER_HEAD, f"a {animal} with a hat")
        for animal, style in (
            *(("cat", "flat"), ("dog", "flat"), ("pig", "flat"), ("monkey", "noto")),
            *(("mouse", "noto"), ("rabbit", "noto"), ("tiger", "twemoji"), ("horse", "twemoji")),
        )
    ),
    *(
        Case(name, style, BODY, wanted, wanted)
        for name, style, wanted in (
            ("red heart", "flat", "blue heart"),
            ("green heart", "noto", "yellow heart"),
            ("red apple", "twemoji", "green apple"),
            ("green book", "flat", "orange book"),
            ("blue circle", "noto", "orange circle"),
            ("black cat", "twemoji", "cat"),
        )
    ),
    *(
        Case("grinning face", style, FEATURES, wanted, wanted)
        for style, wanted in (
            *(("flat", "crying face"), ("noto", "sleeping face"), ("twemoji", "angry face")),
            *(("flat", "winking face"), ("noto", "hushed face"), ("twemoji", "neutral face")),
        )
    ),
)


@dataclass(frozen=True, eq=False)
class Painted:
    """The cases, painted at the defaults of `edits.inpaint`."""

    judging: Judging
    cases: Sequence[Case]

    def drawing(self, name: str, style: str) -> Image.Image:
        """One drawing."""
        images = self.judging.images
        for glyph, other, pixels in zip(images.glyphs, images.styles, images.pixels, strict=True):
            if (glyph.name, other) == (name, style):
                return Image.fromarray(pixels)
        raise KeyError(f"{name}, {style}")

    @cached_property
    def before(self) -> list[Image.Image]:
        """The drawings as they were."""
        return [self.drawing(case.name, case.style) for case in self.cases]

    @cached_property
    def made(self) -> list[Image.Image]:
        """The drawings, painted."""
        return [
            inpaint(self.judging.model, image, case.box, text=case.text)[0]
            for image, case in zip(self.before, self.cases, strict=True)
        ]

    def pasted(self) -> list[Image.Image]:
        """The drawings with the real one pasted into the box: what could be reached."""
        done = []
        for image, case in zip(self.before, self.cases, strict=True):
            left, top, width, height = case.box
            other = self.drawing(case.wanted or HATS[0], case.style)
            part = (
                other.crop((left, top, left + width, top + height))
                if case.wanted
                else other.resize((width, height))
            )
            image = image.copy()
            image.paste(part, (left, top))
            done.append(image)
        return done

    def shown(self, made: Sequence[Image.Image]) -> list[bool]:
        """Which of the images show what was asked for, by the judge."""
        gallery = self.judging.gallery
        seen = [
            cut(image, case.box) if not case.wanted else image
            for image, case in zip(made, self.cases, strict=True)
        ]
        pixels = np.stack([np.asarray(image) for image in seen])
        names = {glyph.hexcode: glyph.name for glyph in self.judging.images.glyphs}
        near = np.vectorize(names.__getitem__)(gallery.glyphs[gallery.nearest(pixels, FIVE)])
        rows, found = gallery.read(pixels), []
        for i, case in enumerate(self.cases):
            named = holding(near[i : i + 1], np.array([[case.wanted]] if case.wanted else [HATS]))
            found.append(bool(named[0]) and (not case.wanted or self._nearer(rows[i], case)))
        return found

    def _nearer(self, row: np.ndarray, case: Case) -> bool:
        both = (self.drawing(name, case.style) for name in (case.name, case.wanted))
        was, wanted = self.judging.gallery.read(np.stack([np.asarray(image) for image in both]))
        return bool(row @ wanted > row @ was)

    def measure(self) -> dict[str, Any]:
        """How many cases show what was asked for: painted, as they were, and pasted."""
        hats = [not case.wanted for case in self.cases]
        table = {}
        for name, images in {
            "painted": self.made,
            "as it was": self.before,
            "real drawing pasted in": self.pasted(),
        }.items():
            shown = np.array(self.shown(images))
            table[name] = {"all": int(shown.sum()), "hats": int(shown[hats].sum())}
        cases = {"all": len(hats), "hats": sum(hats)}
        return {"painted": table, "painted_cases": cases, "painted_shown": table["painted"]["all"]}


def cut(image: Image.Image, box: Box) -> Image.Image:
    """The part of an image in a box, in the middle of a white image of its size."""
    left, top, width, height = box
    part = image.crop((left, top, left + width, top + height))
    white = Image.new("RGB", image.size, "white")
    scale = min(image.width / width, image.height / height)
    part = part.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    white.paste(part, ((white.width - part.width) // 2, (white.height - part.height) // 2))
    return white
