"""Colours of the map: by a column, by crowds, or by how well words match; and which tells most."""

import numpy as np
import streamlit as st

from explorer.app import state
from explorer.app.map.layout import crowds, layout
from explorer.library import Hits, Library
from explorer.projection import Projection
from explorer.projection.colours import MIN_TELLING, Colours, by_values, shades, telling
from explorer.regions.colours import CLUSTERS, crowd_colours
from explorer.regions.kept import MapCrowds

NO_COLUMN = "One colour"


def choices() -> list[str]:
    """Return what the map can be coloured by, the most telling first.

    A column tells much if neighbours on the map have the same value, beyond chance: Cohen's kappa
    of categories, Spearman's correlation of numbers.
    """
    library = state.library()
    scores = _telling(library, layout(), library.cache_key)
    known = sorted(scores, key=lambda name: -scores[name])
    best = [name for name in known if scores[name] >= MIN_TELLING]
    return [*best, CLUSTERS, *[name for name in known if name not in best], NO_COLUMN]


def colours(name: str) -> Colours | None:
    """Return one colour a point, for one of `choices`."""
    library = state.library()
    if name == CLUSTERS:
        return _clusters(layout(), crowds(), library.cache_key)
    return None if name == NO_COLUMN else _of_column(library, name, library.cache_key)


def heat(words: str, hits: Hits) -> Colours | None:
    """Return the scores of all rows that match words; the others have no colour. None: none do."""
    if not len(hits.rows):
        return None
    scores = np.full(len(state.library()), np.nan)
    scores[hits.rows] = hits.scores
    return shades(f"Cosine with “{words}”", scores)


@st.cache_resource(max_entries=8, show_spinner=False)
def _of_column(_library: Library, column: str, key: str) -> Colours:  # noqa: ARG001
    return by_values(column, _library.rows[column])


@st.cache_resource(max_entries=2, show_spinner=False)
def _telling(_library: Library, _map: Projection, key: str) -> dict[str, float]:  # noqa: ARG001
    return telling(_library.rows, _library.columns, _map.xy)


@st.cache_resource(max_entries=2, show_spinner=False)
def _clusters(_map: Projection, _crowds: MapCrowds, key: str) -> Colours | None:  # noqa: ARG001
    return crowd_colours(_map.xy, _crowds.regions, _crowds.members)
