"""Contact sheets of what was judged, drawn at random and failures too, as small WebP files."""

import io
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TypeVar

import numpy as np
from PIL import Image

from explorer.files import make_folder, write_file
from explorer.images import grid
from pocket.judged import Judging
from pocket.judged_edits import TextDiffs, strips
from pocket.painted import Painted

HELD_OUT, WORDS = 48, 24
COLUMNS = 8
TILE = 80
QUALITY = 80
T = TypeVar("T")


def write(folder: FilePath, judging: Judging, edit: TextDiffs, painted: Painted) -> None:
    """Write pocket-held-out.webp, -text-diffs, -words and -inpainting into a folder."""
    make_folder(folder)
    rows, images = judging.rows[:HELD_OUT], judging.images
    names = [images.caption(row) for row in rows]
    over = pairs(judging.drawings(rows), of(judging.held_out[: len(rows)]))
    labels = pairs(names, [""] * len(rows))
    save(folder / "pocket-held-out.webp", over, COLUMNS, labels)
    rows = judging.rows[:WORDS]
    names = [images.caption(row) for row in rows]
    save(folder / "pocket-words.webp", of(judging.worded[: len(rows)]), COLUMNS, names)
    frames, labels = strips(edit)
    save(folder / "pocket-text-diffs.webp", frames, 2 * (edit.frames + 1), labels)
    names = [case.name for case in painted.cases]
    over = pairs(painted.before, painted.made, 10)
    labels = pairs(names, [case.text for case in painted.cases], 10)
    save(folder / "pocket-inpainting.webp", over, 10, labels)


def of(pixels: np.ndarray) -> list[Image.Image]:
    """Pixels as images."""
    return list(map(Image.fromarray, pixels))


def pairs(above: Sequence[T], below: Sequence[T], columns: int = COLUMNS) -> list[T]:
    """Row by row, the ones above the others.

    >>> "".join(pairs("abc", "ABC", 2))
    'abABcC'
    """
    starts = range(0, len(above), columns)
    return [x for i in starts for x in (*above[i : i + columns], *below[i : i + columns])]


def save(file: FilePath, tiles: Sequence[Image.Image], columns: int, labels: Sequence[str]) -> None:
    """Write a sheet."""
    content = io.BytesIO()
    sheet = grid(list(tiles), columns=columns, labels=list(labels), size=TILE, gap=4)
    sheet.save(content, "webp", quality=QUALITY)
    write_file(file, content.getvalue())
