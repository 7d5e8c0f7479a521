"""What every session sees of the map: places, regions, support; laid out once."""

from typing import Any

import numpy as np
import streamlit as st
from jaxtyping import Float, Int

from explorer.app import state
from explorer.library import Library
from explorer.notes import collecting, note
from explorer.projection import Projection
from explorer.regions import captions_of, name_regions
from explorer.regions.crowds import Region
from explorer.regions.kept import MapCrowds, map_crowds
from explorer.support import Support

MAX_REFERENCE_POINTS = 5000  # real points that support is judged by


def layout() -> Projection:
    """Return the map of the library, read from its cache or fitted."""
    library = state.library()
    return _layout(library, library.cache_key)


def regions() -> list[Region]:
    """Return the crowds of the map that words tell from the others."""
    return crowds().regions


def crowds() -> MapCrowds:
    """Return the crowds of the map, named and not."""
    library = state.library()
    found, notes = _crowds(library, layout(), library.cache_key)
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
def _crowds(
    _library: Library,
    _map: Projection,
    key: str,  # noqa: ARG001
) -> tuple[MapCrowds, list[str]]:
    with collecting() as notes:  # they are told on every run, not only on the first
        return map_crowds(_library, _map.xy), notes


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
