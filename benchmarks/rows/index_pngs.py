"""Index drawings of 64 pixels with pocket, beside a loop of open_clip and Pillow, one by one."""

from comparing import Case
from rows.index_photos import ours, peers

SIZES = {"small": 70, "default": 1000, "full": 10_000}


def whos(_size):
    return ["ours", "README loop"]


def cases(size):
    return [Case(f"index {size:,} PNGs of 64 pixels, pocket", aims={"README loop": 5.0})]


def prepare(folder, size):
    """Write drawings of the sample library, each with a tint and noise of its own."""
    import numpy as np
    from PIL import Image

    from explorer.models.pocket import FOLDER

    (folder / "photos").mkdir()
    sources = sorted((FOLDER.parent.parent / "sample" / "images").rglob("*.webp"))
    sources = sources or sorted((FOLDER.parent.parent / "sample" / "images").rglob("*.png"))
    for number in range(size):
        random = np.random.default_rng(number)
        drawing = Image.open(sources[number % len(sources)]).convert("RGB").resize((64, 64))
        pixels = np.asarray(drawing) * random.uniform(0.8, 1, 3) + random.integers(
            0, 4, (64, 64, 3)
        )
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        image.save(folder / "photos" / f"{number:05}.png")


def measure(who, folder, size):
    from explorer.models.pocket import FOLDER

    if who == "ours":
        return ours("pocket", folder, size)
    return peers(str(FOLDER), sorted((folder / "photos").iterdir()), who)
