"""What was chosen on the map: which rows a border encloses, and files of them to take away."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path as FilePath

import numpy as np
from jaxtyping import Float, Int

from explorer.library import Library
from explorer.library.subset import write_subset


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
