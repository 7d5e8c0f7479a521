"""What every session sees of the map: places, regions, colours, support; laid out once."""

from typing import Any

import numpy as np
import streamlit as st
from jaxtyping import Float, Int

from explorer.app import state
from explorer.app.map.scatter import Colours
from explorer.library import Library
from explorer.notes import collecting, note
from explorer.projection import Projection
from explorer.regions import captions_of, name_regions
from explorer.regions.crowds import Region, map_regions
from explorer.support import Support

MAX_COLOURS = 20  # colours that can be told apart; rarer values share one
MAX_REFERENCE_POINTS = 5000  # real points that support is judged by


def layout() -> Projection:
    """Return the map of the library, read from its cache or fitted."""
    library = state.library()
    return _layout(library, library.cache_key)


def regions() -> list[Region]:
    """Return the crowds of the map that words tell from the others."""
    library = state.library()
    found, notes = _regions(library, layout(), library.cache_key)
    for each in notes:
        note(each)
    return found


def support() -> Support:
    """Return how far from anything real a point is, judged by a sample of the library."""
    library = state.library()
    return _support(library, library.cache_key)


def distances_to_points(places: Float[np.ndarray, "M 2"]) -> Float[np.ndarray, " M"]:
    """Return the distance to the nearest point of the map; 1 is the median of points to theirs."""
    library = state.library()
    tree, usual = _tree(layout(), library.cache_key)
    return np.asarray(tree.query(places)[0] / usual)


def columns() -> list[str]:
    """Return the columns to colour by, those that tell groups apart first."""
    library = state.library()
    return _columns(library, library.cache_key)


def colours(column: str) -> Colours:
    """Return one colour a point, as a column says."""
    library = state.library()
    return _colours(library, column, library.cache_key)


@st.cache_resource(
    max_entries=2, show_spinner="Laying out the map; the first time takes a minute …"
)
def _layout(_library: Library, key: str) -> Projection:  # noqa: ARG001
    return Projection.cached(_library.cache_folder, _library.points())


@st.cache_resource(max_entries=2, show_spinner=False)
def _tree(_map: Projection, key: str) -> tuple[Any, float]:  # noqa: ARG001
    from scipy.spatial import KDTree

    tree = KDTree(_map.xy)
    return tree, float(np.median(tree.query(_map.xy[:MAX_REFERENCE_POINTS], k=[2])[0])) or 1.0


@st.cache_resource(max_entries=2, show_spinner="Naming the regions of the map …")
def _regions(
    _library: Library,
    _map: Projection,
    key: str,  # noqa: ARG001
) -> tuple[list[Region], list[str]]:
    with collecting() as notes:  # they are told on every run, not only on the first
        return map_regions(_library, _map.xy), notes


def name_of_selection(rows: Int[np.ndarray, " K"]) -> str | None:
    """Return the words that tell these rows from the others, with "?" if guessed; None if none."""
    library = state.library()
    inside = np.isin(np.arange(len(library)), rows)
    words = None if inside.all() or not inside.any() else name_regions(library, inside)[True]
    return words and words + ("" if captions_of(library, rows) else "?")


@st.cache_resource(max_entries=2, show_spinner=False)
def _support(_library: Library, key: str) -> Support:  # noqa: ARG001
    rows = np.arange(len(_library))
    if len(rows) > MAX_REFERENCE_POINTS:
        rows = np.random.default_rng(0).choice(rows, MAX_REFERENCE_POINTS, replace=False)
    return Support.fit(_library.points(rows), neighbours=max(1, min(10, len(rows) // 3)))


@st.cache_resource(max_entries=2, show_spinner=False)
def _columns(_library: Library, key: str) -> list[str]:  # noqa: ARG001
    values = {name: _library.rows[name].nunique() for name in _library.columns}
    few = [name for name, n in values.items() if 2 <= n <= MAX_COLOURS]
    return few + [name for name in values if name not in few and values[name] > 1]


@st.cache_resource(max_entries=8, show_spinner=False)
def _colours(_library: Library, column: str, key: str) -> Colours:  # noqa: ARG001
    from pandas.api import types

    series = _library.rows[column]
    if types.is_numeric_dtype(series) and not types.is_bool_dtype(series):
        return _shades(column, series.to_numpy(dtype=np.float64, na_value=np.nan))
    texts = series.astype(str).where(series.notna(), None)
    names = texts.value_counts().index[: MAX_COLOURS - 1].tolist()
    known: dict[Any, int] = {name: code for code, name in enumerate(names)}
    codes = texts.map(known).fillna(len(names)).to_numpy(np.uint8)
    others = (codes == len(names)).any()
    return Colours(column, codes, (*map(str, names), *[None] * bool(others)))


def _shades(column: str, numbers: np.ndarray) -> Colours:
    finite = numbers[np.isfinite(numbers)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    codes = ((numbers - low) / ((high - low) or 1)).astype(np.float32)
    return Colours(column, codes, None, (f"{low:.6g}", f"{high:.6g}"))
