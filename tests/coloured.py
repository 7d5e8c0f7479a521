"""A small captioned library of coloured images, for tests of analysis that need no network."""

import numpy as np
from fakes import COLOUR_SPACE, ColourEncoder, coloured, run
from PIL import Image

from analysis.dataset import Dataset
from explorer.library import Library
from explorer.models import Model

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def dataset(folder, each=6, *, captions=True, **options):
    """A Dataset of `each` noisy images a colour; their captions and classes are the colour."""
    rng, lines = np.random.default_rng(0), ["file,caption,colour"]
    (folder / "images").mkdir()
    for name, colour in COLOURS.items():
        for i in range(each):
            noise = rng.integers(0, 60, (8, 8, 3))
            pixels = np.abs(np.array(colour) - noise).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"images/{name}{i}.png")
            lines.append(f"{name}{i}.png,{name},{name}")
    if captions:
        (folder / "images/captions.csv").write_text("\n".join(lines))
    return _dataset(folder, "caption" if captions else None, **options)


def shaded(folder, **options):
    """A Dataset of 12 images whose captions differ in a shade or in a colour, as "60 red"."""
    lines = ["file,caption,colour"]
    (folder / "images").mkdir()
    for name, hue in {"red": (1, 0, 0), "green": (0, 1, 0), "plum": (1, 0, 1)}.items():
        for shade in (60, 120, 180, 240):
            pixels = Image.new("RGB", (8, 8), tuple(shade * part for part in hue))
            pixels.save(folder / f"images/{name}{shade}.png")
            lines.append(f"{name}{shade}.png,{shade} {name},{name}")
    (folder / "images/captions.csv").write_text("\n".join(lines))
    return _dataset(folder, "caption", **options)


def _dataset(folder, caption, **options):
    encoder = ColourEncoder()
    library = Library.create(folder / "lib", coloured())
    run(library, [folder / "images"], encoder)
    return Dataset(library, Model("colours", COLOUR_SPACE, encoder), caption, **options)
