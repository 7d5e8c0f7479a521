"""Write the images of the sample library: `python -m pocket.sample`.

Picks glyphs that are drawn in all four styles, writes 64×64 PNG files and captions.csv.
"""

import argparse
import csv
import hashlib
from pathlib import Path as FilePath

import numpy as np
from PIL import Image

from pocket import data
from pocket.data import Glyph, Images, held_out

FOLDER = FilePath(__file__).parent.parent / "explorer" / "sample" / "images"
GROUPS = {
    0: "smileys and emotion",
    1: "people and body",
    3: "animals and nature",
    4: "food and drink",
    5: "travel and places",
    6: "activities",
    7: "objects",
    8: "symbols",
}
SHARE = {0: 60, 1: 50, 3: 80, 4: 60, 5: 50, 6: 30, 7: 60, 8: 10}  # glyphs of each group
STORIES = (  # pairs that differ in one word, for text diffs with a right answer
    *("man farmer", "woman farmer", "man cook", "woman cook", "man", "woman", "boy", "girl"),
    *("man farmer: light skin tone", "man farmer: dark skin tone"),
    *("woman cook: light skin tone", "woman cook: dark skin tone"),
    *("thumbs up", "thumbs up: light skin tone", "thumbs up: dark skin tone", "thumbs down"),
    *("cat face", "dog face", "cat", "dog", "mouse face", "rabbit face", "tiger face", "lion"),
    *("grinning face", "crying face", "angry face", "sleeping face", "grinning cat", "crying cat"),
    *("red heart", "blue heart", "green heart", "red apple", "green apple"),
    *("house", "castle", "sun", "full moon", "snowman", "sunset", "automobile", "bus"),
)


def chosen(images: Images) -> list[Glyph]:
    """Return the glyphs of the sample: those of the stories, and some of each group by hash."""
    count: dict[str, int] = {}
    known = {glyph.hexcode: glyph for glyph in images.glyphs}
    for glyph in images.glyphs:
        count[glyph.hexcode] = count.get(glyph.hexcode, 0) + 1
    everywhere = [g for code, g in known.items() if count[code] == len(data.STYLES)]
    picked = {g.hexcode: g for g in everywhere if g.name in STORIES}
    for group, share in SHARE.items():
        plain = [g for g in everywhere if g.group == group and g.tone == 0]
        plain.sort(key=lambda g: hashlib.sha256(g.hexcode.encode()).digest())
        picked |= {glyph.hexcode: glyph for glyph in plain[:share]}
    return sorted(picked.values(), key=lambda g: (g.group, g.hexcode))


def write(images: Images, folder: FilePath) -> int:
    """Write images and captions; return how many."""
    rows = {
        (g.hexcode, s): i for i, (g, s) in enumerate(zip(images.glyphs, images.styles, strict=True))
    }
    lines = []
    for style in data.STYLES:
        (folder / style).mkdir(parents=True, exist_ok=True)
        for glyph in chosen(images):
            file = f"{style}/{glyph.hexcode.lower()}.png"
            pixels: np.ndarray = images.pixels[rows[glyph.hexcode, style]]
            Image.fromarray(pixels).save(folder / file, optimize=True)
            lines.append(
                {
                    "file": file,
                    "caption": f"{glyph.name}, {style}",
                    "name": glyph.name,
                    "style": style,
                    "group": GROUPS.get(glyph.group, "other"),
                    "keywords": ", ".join(glyph.keywords),
                    "split": "held out" if held_out(glyph.hexcode, style) else "training",
                }
            )
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return len(lines)


def main() -> None:
    """Read the command line and write the sample."""
    parser = argparse.ArgumentParser("python -m pocket.sample", description=__doc__)
    parser.add_argument(
        "--work",
        type=FilePath,
        default=FilePath("training-run"),
        help="folder of the images",
    )
    parser.add_argument("--out", type=FilePath, default=FOLDER, help="output folder")
    given = parser.parse_args()
    print(write(data.load(given.work), given.out), "images")


if __name__ == "__main__":
    main()
