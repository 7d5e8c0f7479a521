"""Blindness: images and words that a model was not trained for, said in one sentence.

A model knows its training points as a Support, a file beside its weights. Whatever shows results
asks here, with vectors that it has already: nothing is encoded a second time.
"""

from pathlib import Path as FilePath

import numpy as np
from PIL import Image

from explorer.notes import note
from explorer.points import Points, Space
from explorer.support import Support

FILE = "support.safetensors"
SAMPLE_ROWS = 500  # of a library; enough to say what most of its images are
BORDER_SIDE, WHITE = 64, 240  # pixels a side, and the least that counts as white, of 255
MOST = 0.5  # of them must be unlike the training images before a library is said to be


def write_support(file: FilePath, support: Support) -> None:
    """Write the reference and held-out points of a Support as float16."""
    from safetensors.numpy import save

    from explorer.files import write_file

    tensors = {
        name: np.ascontiguousarray(points.vectors, dtype=np.float16)
        for name, points in (("reference", support.reference), ("held_out", support.held_out))
    }
    space = support.reference.space
    about = {"fingerprint": space.fingerprint, "neighbours": str(support.neighbours)}
    if support.on_white:
        about["ground"] = "white"
    write_file(file, save(tensors, about))


def read_support(file: FilePath, space: Space) -> Support | None:
    """Read a Support; None if the model ships none, or it was made with other weights."""
    from safetensors import safe_open

    if not file.is_file():
        return None
    with safe_open(file, "np") as stored:
        about = stored.metadata()
        if about.get("fingerprint") != space.fingerprint:
            return None
        parts = [stored.get_tensor(name).astype(np.float32) for name in ("reference", "held_out")]
    reference, held_out = (Points(part, space, "image") for part in parts)
    white = about.get("ground") == "white"
    return Support(reference, held_out, int(about["neighbours"]), white)


def off_ground(image: Image.Image) -> bool:
    """Return whether an image does not stand on white: less than half of its border is white.

    >>> off_ground(Image.new("RGB", (200, 100), "white")), off_ground(Image.new("RGB", (9, 9)))
    (False, True)
    """
    small = image.convert("RGB").resize((BORDER_SIDE, BORDER_SIDE), Image.Resampling.BOX)
    inner = np.ones((BORDER_SIDE - 2, BORDER_SIDE - 2), dtype=bool)
    border = np.asarray(small)[~np.pad(inner, 1)]
    return bool((border.min(1) >= WHITE).mean() < 0.5)


def unlike(
    support: Support | None, points: Points, count: int | None = None, strange: float = 0.0
) -> str:
    """Return the sentence for points of images that are unlike the training images, or "".

    Args:
        count: how many images there are, if the points are a sample of them.
        strange: the share of the images that do not stand on white, if all training images do.
    """
    if support is None or not len(points) or points.side != "image":
        return ""
    if max(float(support.outside(points).mean()), strange) <= MOST:
        return ""
    name, count = points.space.name, count or len(points)
    what = "This image is" if count == 1 else f"These {count:,} images are"
    return (
        f"{what} unlike the emoji that {name} was trained on: searching and decoding them with "
        f"{name} is meaningless; use a CLIP of photographs, as --model vit-b-32."
    )


def note_unlike(
    support: Support | None, points: Points, count: int | None = None, strange: float = 0.0
) -> None:
    """Note what `unlike` returns."""
    if sentence := unlike(support, points, count, strange):
        note(sentence)
