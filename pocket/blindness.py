"""What pocket is blind to: `python -m pocket.blindness` writes a sample of its training points.

Run it after the weights have changed; without it, or with the file of other weights, pocket has no
`support` and warns of nothing. `--photos FOLDER` measures instead, and prints shares that trip.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from PIL import Image

from explorer.images import open_image
from explorer.models import Model, load
from explorer.models.pocket import FOLDER, MANIFEST
from explorer.models.shared.blindness import FILE, off_ground, write_support
from explorer.models.shared.text_notes import is_unknown
from explorer.points import Points
from explorer.support import Support
from explorer.training.checkpoints import renew_hashes
from pocket import data

REFERENCE_IMAGES = 600  # 300 kB
HELD_OUT_IMAGES = 300
MEASURED_IMAGES = 600  # of each kind, other than those in the file
NEIGHBOURS = 1
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENGLISH = [
    "a dog on a beach",
    "a photo of a cat",
    "red car",
    "a man riding a horse",
    "blue house with a garden",
    "woman in a green dress",
    "two birds on a tree",
    "sunset over the mountains",
    "a plate of food",
    "children playing football",
    "a black and white dog",
    "an old train",
    "a bottle of milk",
    "apple",
]
EASTERN = [
    "猫",
    "狗在沙滩上",
    "红色的汽车",
    "一只猫",
    "你好世界",
    "山上的日落",
    "🐱",
    "🐶",
    "犬",
    "寿司",
    "赤い車",
    "海",
]
CYRILLIC = ["кошка", "собака на пляже", "красная машина", "человек", "дом", "привет мир", "солнце"]


def fit(model: Model, images: data.Images) -> Support:
    """Fit to training images; the percentiles are those of held-out ones."""
    order = np.random.default_rng(0).permutation(len(images))
    held = images.held_out[order]
    return Support(
        encoded(model, images, order[~held][:REFERENCE_IMAGES]),
        encoded(model, images, order[held][:HELD_OUT_IMAGES]),
        NEIGHBOURS,
        on_white=True,
    )


def encoded(model: Model, images: data.Images, rows: np.ndarray) -> Points:
    """Encode some images, without their names."""
    points = model.encoder.encode_images([Image.fromarray(images.pixels[row]) for row in rows])
    return Points(points.vectors, points.space, "image")


def measure(model: Model, images: data.Images, folders: list[FilePath]) -> dict[str, float]:
    """Measure the shares outside: of held-out emoji that the file lacks, and of photographs."""
    assert model.support is not None, "run python -m pocket.blindness first"
    order = np.random.default_rng(0).permutation(len(images))
    rows = order[images.held_out[order]][HELD_OUT_IMAGES:][:MEASURED_IMAGES]
    held_out = model.support.outside(encoded(model, images, rows))
    held_out |= [off_ground(Image.fromarray(images.pixels[row])) for row in rows]
    shares = {"held-out emoji": float(held_out.mean())}
    for folder in folders:
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
        step = max(1, len(files) // MEASURED_IMAGES)
        some = [str(file) for file in files[::step]]
        outside = model.support.outside(model.encoder.encode_images(some))
        outside |= [off_ground(open_image(file)) for file in some]
        shares[str(folder)] = float(outside.mean())
    return shares


def measure_words(tokenizer: Any, glyphs: Sequence[data.Glyph]) -> dict[str, float]:
    """Measure the share said to be unknown: of the glyphs' own words, of others, of nonsense."""
    rng = random.Random(0)
    kinds = {
        "names": sorted({glyph.name for glyph in glyphs}),
        "keywords": sorted({word for glyph in glyphs for word in glyph.keywords}),
        "English": ENGLISH,
        "Chinese, Japanese, emoji": EASTERN,
        "Cyrillic": CYRILLIC,
        "nonsense": ["".join(rng.choices(LETTERS, k=rng.randint(6, 12))) for _ in range(300)],
    }
    return {
        kind: round(sum(is_unknown(text, tokenizer) for text in texts) / len(texts), 4)
        for kind, texts in kinds.items()
    }


def main() -> None:
    """Read the command line; write the file, or measure."""
    parser = argparse.ArgumentParser("python -m pocket.blindness", description=__doc__)
    parser.add_argument("--data", type=FilePath, default=FilePath("training-run/data"),
                        help="folder of the training images")  # fmt: skip
    parser.add_argument("--weights", type=FilePath, default=FOLDER, help="folder of pocket")
    parser.add_argument("--photos", type=FilePath, nargs="*", help="measure on these folders")
    given = parser.parse_args()
    model, images = load(f"pocket:{given.weights}", device="cpu"), data.load(given.data)
    if given.photos is not None:
        shares = measure(model, images, given.photos)
        words = measure_words(vars(model.encoder)["tokenizer"], images.glyphs)
        print(json.dumps({"images": shares, "words": words}, indent=2, ensure_ascii=False))
        return
    write_support(given.weights / FILE, fit(model, images))
    renew_hashes(given.weights / MANIFEST)


if __name__ == "__main__":
    main()
