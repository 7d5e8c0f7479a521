"""What was chosen on the map: borders added and subtracted, their rows, files to take away."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.library import Library
from explorer.library.subset import write_subset

MAX_PLACES = 400  # of a line in the address
MAX_STROKES = 12  # of a selection
MODES = ("new", "add", "sub")
Places = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Stroke:
    """A border that was drawn, and what it does: starts a selection, adds to it, takes from it."""

    mode: str
    border: Places


def selected(strokes: Sequence[Stroke], xy: Float[np.ndarray, "N 2"]) -> Bool[np.ndarray, " N"]:
    """Return which places are selected after all borders, in their order.

    >>> square = ((0, 0), (2, 0), (2, 2), (0, 2))
    >>> right = ((1, 0), (2, 0), (2, 2), (1, 2))
    >>> xy = np.array([[0.5, 1], [1.5, 1.0]])
    >>> selected([Stroke("new", square), Stroke("sub", right)], xy).tolist()
    [True, False]
    """
    chosen = np.zeros(len(xy), dtype=bool)
    for stroke in strokes:
        inside = np.isin(np.arange(len(xy)), rows_within(stroke.border, xy))
        if stroke.mode == "sub":
            chosen &= ~inside
        else:
            chosen = inside | chosen if stroke.mode == "add" else inside
    return chosen


def write_strokes(strokes: Sequence[Stroke]) -> str:
    """Return borders as the address has them; `read_strokes` reads it."""
    texts = [";".join(f"{x:.5g},{y:.5g}" for x, y in stroke.border) for stroke in strokes]
    modes = ["" if stroke.mode == "new" else f"{stroke.mode}:" for stroke in strokes]
    return "|".join(map(str.__add__, modes, texts))


def read_strokes(text: str) -> list[Stroke]:
    """Return the borders in an address; those that make no sense are left out.

    >>> [each.mode for each in read_strokes("0,0;1,0;1,1|sub:0,0;1,0;0,1|add:x")]
    ['new', 'sub']
    """
    strokes = []
    for part in text.split("|")[:MAX_STROKES]:
        mode, _, line = part.rpartition(":")
        border = read_places(line)
        if len(border) > 2 and mode in ("", *MODES):
            strokes.append(Stroke(mode or "new", border))
    return strokes


def read_places(text: str) -> Places:
    """Read places as the address has them; none if one is none.

    >>> read_places("1,2;-0.5,3e-2"), read_places("1,2;x"), read_places("nan,1")
    (((1.0, 2.0), (-0.5, 0.03)), (), ())
    """
    try:
        pairs = [tuple(map(float, part.split(","))) for part in text.split(";")[:MAX_PLACES]]
    except ValueError:
        return ()
    whole = all(len(pair) == 2 and all(abs(v) < 1e6 for v in pair) for pair in pairs)
    return tuple((pair[0], pair[1]) for pair in pairs) if whole else ()


def rows_within(
    border: Sequence[tuple[float, float]], xy: Float[np.ndarray, "N 2"]
) -> Int[np.ndarray, " K"]:
    """Return which places a drawn border encloses; where it crosses itself, every other part.

    >>> rows_within([(0, 0), (2, 0), (2, 2), (0, 2)], np.array([[1, 1], [3, 1], [1, -1.0]]))
    array([0])
    """
    from matplotlib.path import Path as Border

    return np.flatnonzero(Border(border).contains_points(xy))


def write_chosen(library: Library, rows: Int[np.ndarray, " K"], file: FilePath) -> None:
    """Write rows as .csv, as .parquet, or as .zip with a new library in it."""
    if file.suffix == ".zip":
        with tempfile.TemporaryDirectory() as folder:
            write_subset(library, rows, FilePath(folder) / "chosen.lib")
            shutil.make_archive(str(file.with_suffix("")), "zip", folder)
        return
    table = library.rows.iloc[rows].drop(columns=["path", "member"]).reset_index(names="row")
    if file.suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file, index=False)


def along(line: Sequence[tuple[float, float]], count: int) -> Float[np.ndarray, "M 2"]:
    """Return places at equal distances along a drawn line, both ends among them.

    >>> along([(0, 0), (3, 0), (3, 1)], 5).tolist()
    [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [3.0, 1.0]]
    """
    places = np.asarray(line, dtype=np.float64)
    far = np.concatenate([[0.0], np.hypot(*np.diff(places, axis=0).T).cumsum()])
    at = np.linspace(0, far[-1], count)
    return np.stack([np.interp(at, far, axis) for axis in places.T], axis=1)
