"""Give the files of format 1 in tests/data what replays with the pocket that ships.

`python tests/renew_recipes.py`, after pocket's weights have changed: no version writes this format
any more, so its values stay as they were but for points, fingerprints and pixels.
"""

from pathlib import Path
from typing import Any

from explorer import load
from explorer.images import save_image
from explorer.recipe import Recipe
from explorer.recipe_values import pack
from explorer.rendering import Rendering, recipe_values
from explorer.samples import IMAGES
from explorer.video import write_video

DATA = Path(__file__).parent / "data"
FACES = ("1f431", "1f436")  # cat and dog


def main() -> None:
    """Rewrite the files."""
    model = load("pocket", device="cpu")
    assert model.prior is not None and model.decoder is not None
    faces = model.encoder.encode_images([IMAGES / f"noto/{code}.png" for code in FACES])
    for name, points in (
        ("recipe-1.png", model.prior.sample(["a red heart"])),
        ("recipe-1-inpaint.png", model.prior.sample(["a cat with a hat"])),
        ("recipe-1.webp", faces),
    ):
        values: dict[str, Any] = recipe_values(DATA / name)
        values["stops"] = pack(points.vectors, "float32")
        values["space"][2], values["decoder"] = model.space.fingerprint, model.decoder.fingerprint
        made = list(Rendering(model, Recipe.from_dict(values)))
        if name.endswith(".webp"):
            write_video(made, DATA / name, fps=values["fps"], recipe=values)
        else:
            (image,) = made
            save_image(image, DATA / name, values)


if __name__ == "__main__":
    main()
