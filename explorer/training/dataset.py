"""Read the images of a library once into a folder, to train on them from there.

Returns examples, mapped into memory. It knows no model and no network.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import UInt8

from explorer.errors import ImageError
from explorer.files import write_file, writing_stream
from explorer.library import Library
from explorer.models.shared.patch_decoder import as_seen
from explorer.training.checkpoints import explained
from explorer.training.examples import Examples
from explorer.training.run_folder import (
    check_count,
    chosen_rows,
    has_begun,
    held_out,
    row_weights,
)

PIXELS, POINTS, INDEX = "images.bin", "points.npy", "images.json"
IMAGES_PER_BATCH = 256  # opened side by side
SECONDS_BETWEEN_LINES = 5


def read_examples(
    library: Library, work: FilePath, size: int, most: int, seed: int, framing: dict[str, Any]
) -> tuple[Examples, int]:
    """Read at most `most` images at size × size into `work`; a resumed run has them there.

    Args:
        framing: how the encoder cuts an image; see `as_seen`.

    Returns:
        The examples, those that are held out with weight 0, and how many images could not be
        opened.

    Raises:
        QueryError: too few images can be opened.
        TrainingError: the disk is full.
    """
    if not has_begun(work):
        _read(library, work, size, chosen_rows(len(library), most, seed), framing)
    index = json.loads((work / INDEX).read_text("utf-8"))
    shape = (len(index["hashes"]), size, size, 3)
    pixels = np.memmap(work / PIXELS, np.uint8, "r", shape=shape)
    points = np.load(work / POINTS, mmap_mode="r")
    weights = row_weights(held_out(index["hashes"]))
    return Examples(pixels, points, weights), int(index["skipped"])


def _read(
    library: Library, work: FilePath, size: int, rows: np.ndarray, framing: dict[str, Any]
) -> None:
    kept: list[int] = []
    with (
        explained(work, len(rows) * size * size * 3),
        writing_stream(work / PIXELS) as stream,
    ):
        for row, pixels in _opened(library, rows, size, framing):
            kept.append(row)
            stream.write(pixels.tobytes())
    skipped = len(rows) - len(kept)
    check_count(library, len(kept), f"{skipped} images cannot be opened. Add images to it.")
    if skipped:
        print(f"{skipped} of {len(rows)} images cannot be opened and are left out", file=sys.stderr)
    with explained(work, len(kept) * library.space.dimension * 4):
        with writing_stream(work / POINTS) as stream:
            np.save(stream, library.points(kept).vectors)
        hashes = library.rows["sha256"].to_numpy()[kept].tolist()
        write_file(work / INDEX, json.dumps({"skipped": skipped, "hashes": hashes}).encode())


def _opened(
    library: Library, rows: Sequence[int] | np.ndarray, size: int, framing: dict[str, Any]
) -> Iterator[tuple[int, UInt8[np.ndarray, "H W C"]]]:
    """Yield row and pixels of each image that can be opened, in order."""
    see, shown = as_seen(size, framing), time.monotonic()

    def pixels_of(row: int) -> UInt8[np.ndarray, "H W C"] | None:
        try:
            image = library.open_image(row)
        except ImageError:
            return None
        return np.rint(see(image).transpose(1, 2, 0) * 255).astype(np.uint8)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), IMAGES_PER_BATCH):
            part = [int(row) for row in rows[start : start + IMAGES_PER_BATCH]]
            for row, pixels in zip(part, pool.map(pixels_of, part), strict=True):
                if pixels is not None:
                    yield row, pixels
            if time.monotonic() - shown > SECONDS_BETWEEN_LINES:
                print(
                    f"reading images: {start + len(part)} of {len(rows)}",
                    file=sys.stderr,
                    flush=True,
                )
                shown = time.monotonic()
