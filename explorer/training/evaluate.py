"""Measure pocket on its held-out pairs: `python -m explorer.training.evaluate`.

Prints one JSON object, and draws a contact sheet of held-out pictures over their decodes.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.geometry import slerp
from explorer.images import grid, save_image
from explorer.models import Model, load
from explorer.points import Points
from explorer.training import data
from explorer.training.data import Pictures

SHEET = 24


def recall(scores: Float[np.ndarray, "N M"], right: np.ndarray, k: int) -> float:
    """How often the right column of a row is among its k highest.

    >>> recall(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), 1)
    0.5
    """
    own = scores[np.arange(len(scores)), right]
    return float(np.mean((scores > own[:, None]).sum(1) < k))


def cosines(a: Points, b: Points) -> Float[np.ndarray, " N"]:
    """Cosine of each point with its partner."""
    return np.einsum("nd,nd->n", a.unit, b.unit)


def decoded(model: Model, points: Points) -> tuple[list[Image.Image], Points]:
    """The pictures of the points at the decoder's defaults, and the points of the pictures."""
    assert model.decoder is not None
    pictures = list(model.decoder.decode(points))
    return pictures, model.encoder.encode_images(pictures)


def measure(model: Model, pictures: Pictures, count: int, seed: int) -> dict[str, Any]:
    """All measures; decoding and the prior on `count` held-out pictures drawn with `seed`.

    Retrieval by words is over all held-out pictures with the caption "name, style".
    """
    assert model.prior is not None
    held = np.flatnonzero(pictures.held_out)
    points = model.encoder.encode_images([Image.fromarray(pictures.pixels[i]) for i in held])
    captions = [pictures.caption(int(i)) for i in held]
    everyone = np.arange(len(held))
    words = model.encoder.encode_text(captions).unit @ points.unit.T
    chosen = np.random.default_rng(seed).choice(len(held), min(count, len(held)), replace=False)
    some = points[chosen]
    _, seen = decoded(model, some)
    middle = slerp(some[: len(some) // 2], some[len(some) // 2 : len(some) // 2 * 2], 0.5)
    _, seen_middle = decoded(model, middle)
    carried = model.prior.sample([captions[i] for i in chosen])
    _, seen_carried = decoded(model, carried)
    return {
        "held_out": len(held),
        "decoded": len(chosen),
        "text_to_image_recall_at_1": recall(words, everyone, 1),
        "text_to_image_recall_at_10": recall(words, everyone, 10),
        "round_trip_median": float(np.median(cosines(seen, some))),
        "round_trip_of_midpoints_median": float(np.median(cosines(seen_middle, middle))),
        "decode_finds_its_source_at_10": recall(seen.unit @ points.unit.T, chosen, 10),
        "prior_finds_the_picture_at_10": recall(carried.unit @ points.unit.T, chosen, 10),
        "prior_and_decode_find_it_at_10": recall(seen_carried.unit @ points.unit.T, chosen, 10),
    }


def contact_sheet(model: Model, pictures: Pictures, seed: int) -> Image.Image:
    """24 held-out pictures with their captions, and under each its decode."""
    held = np.flatnonzero(pictures.held_out)
    rows = np.random.default_rng(seed).choice(held, SHEET, replace=False)
    originals = [Image.fromarray(pictures.pixels[i]) for i in rows]
    made, _ = decoded(model, model.encoder.encode_images(originals))
    tiles, labels = [], []
    for start in range(0, SHEET, 8):
        part = slice(start, start + 8)
        tiles += [*originals[part], *made[part]]
        labels += [pictures.caption(int(i)) for i in rows[part]] + [""] * 8
    return grid(tiles, columns=8, labels=labels, size=128)


def main() -> None:
    """Read the command line, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, default=Path("training-run"), help="where pictures are"
    )
    parser.add_argument("--model", default="pocket", help="pocket, or pocket:FOLDER")
    parser.add_argument("--count", type=int, default=240, help="held-out pictures to decode")
    parser.add_argument("--seed", type=int, default=1, help="which of them")
    parser.add_argument("--sheet", type=Path, default=Path("held-out.png"), help="contact sheet")
    given = parser.parse_args()
    model, pictures = load(given.model), data.load(given.work)
    save_image(contact_sheet(model, pictures, given.seed), given.sheet)
    print(json.dumps(measure(model, pictures, given.count, given.seed), indent=2))


if __name__ == "__main__":
    main()
