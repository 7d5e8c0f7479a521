"""Scenes: pairs of drawn images that differ in one binding only, with the caption of each.

Coloured shapes on white. The two captions of a pair mostly hold the same words, so that whoever
reads only which words there are gets every pair half right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from PIL import Image, ImageColor, ImageDraw

SIDE = 256  # pixels
COLOURS = {
    "red": "#d62b2b",
    "pink": "#f58ac0",
    "yellow": "#f7d21e",
    "green": "#2f9e44",
    "blue": "#2563d9",
    "purple": "#8b3fc4",
    "brown": "#8a5632",
    "black": "#2b2b2b",
}
SHAPES = ("cube", "circle", "heart", "star")
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
CONTROLS = ("colour", "shape")  # one thing an image: there is nothing to bind

Thing = tuple[str, str, float, float, float]  # shape, colour, centre and size in sides, y down
Plan = tuple[tuple[str, str], tuple[list[Thing], list[Thing]]]  # captions and scenes of a pair


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images, and the caption of each."""

    kind: str
    captions: tuple[str, str]
    images: tuple[Image.Image, Image.Image]


def pairs(kind: str, n: int, seed: int = 0) -> list[Pair]:
    """Draw at most n different pairs of one of `KINDS`.

    >>> pairs("above and below", 1)[0].captions
    ('a pink circle on top of a green circle', 'a green circle on top of a pink circle')
    """
    plans = list(KINDS[kind]())
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    chosen = rng.permutation(len(plans))[:n]
    return [
        Pair(kind, captions, (render(scenes[0]), render(scenes[1])))
        for captions, scenes in (plans[i] for i in chosen)
    ]


def render(things: list[Thing]) -> Image.Image:
    """Draw things on white, the first one first."""
    image = Image.new("RGB", (2 * SIDE, 2 * SIDE), "white")  # halved below, which smooths edges
    draw = ImageDraw.Draw(image)
    for shape, colour, x, y, size in things:
        _draw(draw, shape, colour, 2 * SIDE * (x - size / 2), 2 * SIDE * (y - size / 2), size)
    return image.reduce(2)


def _draw(
    draw: ImageDraw.ImageDraw, shape: str, colour: str, left: float, top: float, size: float
) -> None:
    side, rgb = 2 * SIDE * size, ImageColor.getrgb(COLOURS[colour])
    light = tuple(level + (255 - level) * 2 // 5 for level in rgb)
    dark = tuple(level * 7 // 10 for level in rgb)

    def at(*places: tuple[float, float]) -> list[tuple[float, float]]:
        return [(left + side * x, top + side * y) for x, y in places]

    if shape == "cube":
        draw.polygon(at((0, 0.28), (0.28, 0), (1, 0), (0.72, 0.28)), light)
        draw.polygon(at((0.72, 0.28), (1, 0), (1, 0.72), (0.72, 1)), dark)
        draw.rectangle(at((0, 0.28), (0.72, 1)), rgb)
    elif shape == "circle":
        draw.ellipse(at((0, 0), (1, 1)), rgb)
    elif shape == "heart":
        draw.ellipse(at((0, 0.04), (0.52, 0.56)), rgb)
        draw.ellipse(at((0.48, 0.04), (1, 0.56)), rgb)
        draw.polygon(at((0.075, 0.48), (0.5, 0.98), (0.925, 0.48), (0.5, 0.2)), rgb)
    else:
        ends = [(i * np.pi / 5, 0.22 if i % 2 else 0.55) for i in range(10)]  # angle, radius
        draw.polygon(at(*((0.5 + r * np.sin(a), 0.55 - r * np.cos(a)) for a, r in ends)), rgb)


def _colour() -> Iterator[Plan]:
    for (one, other), shape in product(combinations(COLOURS, 2), SHAPES):
        captions = f"a {one} {shape}", f"a {other} {shape}"
        yield captions, ([(shape, one, 0.5, 0.5, 0.5)], [(shape, other, 0.5, 0.5, 0.5)])


def _shape() -> Iterator[Plan]:
    for colour, (one, other) in product(COLOURS, combinations(SHAPES, 2)):
        captions = f"a {colour} {one}", f"a {colour} {other}"
        yield captions, ([(one, colour, 0.5, 0.5, 0.5)], [(other, colour, 0.5, 0.5, 0.5)])


def _swap(words: str, here: tuple[float, float], there: tuple[float, float]) -> Iterator[Plan]:
    """Two things of one shape; their colours change places."""
    for (one, other), shape in product(combinations(COLOURS, 2), SHAPES):
        told = [f"a {c} {shape} {words} a {d} {shape}" for c, d in ((one, other), (other, one))]
        scenes: list[list[Thing]] = [
            [(shape, d, *there, 0.4), (shape, c, *here, 0.4)]
            for c, d in ((one, other), (other, one))
        ]
        yield (told[0], told[1]), (scenes[0], scenes[1])


def _attributes() -> Iterator[Plan]:
    """Two shapes side by side; their colours change places, the shapes stay."""
    for (c, d), (left, right) in product(combinations(COLOURS, 2), combinations(SHAPES, 2)):
        captions = f"a {c} {left} and a {d} {right}", f"a {d} {left} and a {c} {right}"
        scenes = [
            [(left, first, 0.26, 0.5, 0.4), (right, second, 0.74, 0.5, 0.4)]
            for first, second in ((c, d), (d, c))
        ]
        yield captions, (scenes[0], scenes[1])


def _counts() -> Iterator[Plan]:
    places = ((0.28, 0.28), (0.72, 0.72), (0.72, 0.28), (0.28, 0.72))
    for (few, many), colour, shape in product(combinations(NUMBERS, 2), COLOURS, SHAPES):
        names = [f"{NUMBERS[n]} {colour} {shape}{'s' * (n > 1)}" for n in (few, many)]
        things: list[Thing] = [(shape, colour, *place, 0.36) for place in places]
        yield (names[0], names[1]), (things[:few], things[:many])


KINDS: dict[str, Callable[[], Iterator[Plan]]] = {
    "colour": _colour,
    "shape": _shape,
    "above and below": lambda: _swap("on top of", (0.5, 0.3), (0.5, 0.7)),
    "left and right": lambda: _swap("to the left of", (0.26, 0.5), (0.74, 0.5)),
    "attributes": _attributes,
    "counts": _counts,
}
