"""A library's own images as training material: read once into a folder, then mapped.

Returns arrays. Knows no model and no network.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from explorer.errors import ImageError
from explorer.files import write_file
from explorer.library import Library
from explorer.models.shared.patch_decoder import as_seen
from explorer.training.checkpoints import explained
from explorer.training.run_folder import check_count, chosen_rows, has_begun, held_out

PIXELS, POINTS, INDEX = "images.bin", "points.npy", "images.json"
AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Material:
    """Images as their encoder sees them, their raw points, and which are kept from training."""

    pixels: UInt8[np.ndarray, "N H W C"]
    points: Float[np.ndarray, "N D"]
    held_out: Bool[np.ndarray, " N"]
    skipped: int  # images that could not be opened


def gather(
    library: Library, work: FilePath, size: int, most: int, seed: int, framing: dict[str, Any]
) -> Material:
    """Read at most `most` images at size × size into `work`; a run that goes on has them there.

    Args:
        framing: how the encoder cuts an image; see `as_seen`.

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
    return Material(pixels, points, held_out(index["hashes"]), index["skipped"])


def _read(
    library: Library, work: FilePath, size: int, rows: np.ndarray, framing: dict[str, Any]
) -> None:
    kept: list[int] = []
    with explained(work, len(rows) * size * size * 3), (work / PIXELS).open("wb") as file:
        for row, pixels in _opened(library, rows, size, framing):
            kept.append(row)
            file.write(pixels.tobytes())
    skipped = len(rows) - len(kept)
    check_count(library, len(kept), f"{skipped} images cannot be opened. Add images to it.")
    if skipped:
        print(f"{skipped} of {len(rows)} images cannot be opened and are left out", file=sys.stderr)
    with explained(work, len(kept) * library.space.dimension * 4):
        np.save(work / POINTS, library.points(kept).vectors)
        hashes = library.rows["sha256"].to_numpy()[kept].tolist()
        write_file(work / INDEX, json.dumps({"skipped": skipped, "hashes": hashes}).encode())


def _opened(
    library: Library, rows: Sequence[int] | np.ndarray, size: int, framing: dict[str, Any]
) -> Iterator[tuple[int, UInt8[np.ndarray, "H W C"]]]:
    """Rows and pixels of the images that can be opened, in order."""
    see, shown = as_seen(size, framing), time.monotonic()

    def pixels_of(row: int) -> UInt8[np.ndarray, "H W C"] | None:
        try:
            image = library.open_image(row)
        except ImageError:
            return None
        return np.rint(see(image).transpose(1, 2, 0) * 255).astype(np.uint8)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), AT_ONCE):
            part = [int(row) for row in rows[start : start + AT_ONCE]]
            for row, pixels in zip(part, pool.map(pixels_of, part), strict=True):
                if pixels is not None:
                    yield row, pixels
            if time.monotonic() - shown > 5:
                print(
                    f"reading images: {start + len(part)} of {len(rows)}",
                    file=sys.stderr,
                    flush=True,
                )
                shown = time.monotonic()
