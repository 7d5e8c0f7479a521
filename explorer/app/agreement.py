"""How two models arrange the same images: the shared rows, and neighbours that both agree on."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from jaxtyping import Float, Int

from explorer.app import state
from explorer.library import Library
from explorer.projection import Projection

NEIGHBOURS = 10
MAX_ROWS = 4000  # images that are compared; more are sampled


@dataclass(frozen=True, eq=False)
class Agreement:
    """Images that two libraries hold, and how far their models agree about each.

    Args:
        rows, others: of this library and the other, N of the same files.
        overlap: the share of the 10 nearest of each that both agree on.
        shared: files that both hold; of many a sample is compared.
    """

    rows: Int[np.ndarray, " N"]
    others: Int[np.ndarray, " N"]
    overlap: Float[np.ndarray, " N"]
    shared: int

    @property
    def chance(self) -> float:
        """The overlap of neighbours drawn at random."""
        return min(1.0, NEIGHBOURS / max(1, len(self.rows) - 1))

    def order(self) -> Int[np.ndarray, " N"]:
        """Return the places of the images, those with the fewest common neighbours first."""
        return np.argsort(self.overlap, kind="stable")

    def near(
        self, place: int, here: Library, there: Library, count: int
    ) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]]:
        """Return the places of the nearest others of an image, by this model and by the other.

        There are `count`, or all others where there are fewer.
        """
        return (_near(here, self.rows, place, count), _near(there, self.others, place, count))


def _near(
    library: Library, rows: Int[np.ndarray, " N"], place: int, count: int
) -> Int[np.ndarray, " K"]:
    """Return the places of the nearest among `rows`."""
    scores = library.points(rows).unit @ library.points(rows[[place]]).unit[0]
    scores[place] = -2
    return np.argsort(-scores, kind="stable")[: min(count, len(rows) - 1)]


def agreement(there: Library) -> Agreement:
    """Return how far the other library's model agrees with this one's; found once for all."""
    here = state.library()
    return _agreement(here, there, here.cache_key, there.cache_key)


@st.cache_resource(max_entries=4, show_spinner="Comparing neighbours …")
def _agreement(_here: Library, _there: Library, key: str, other: str) -> Agreement:  # noqa: ARG001
    from analysis.questions.encoders import overlap, shared  # it imports matplotlib

    rows, others = shared(_here, _there)
    total = len(rows)
    if len(rows) > MAX_ROWS:
        drawn = np.sort(np.random.default_rng(0).choice(len(rows), MAX_ROWS, replace=False))
        rows, others = rows[drawn], others[drawn]
    k = min(NEIGHBOURS, len(rows) - 1)
    if k < 1:
        return Agreement(rows, others, np.ones(len(rows)), total)
    a, b = _here.points(rows).unit, _there.points(others).unit
    return Agreement(rows, others, overlap(a, b, k), total)


@st.cache_resource(
    max_entries=4, show_spinner="Laying out the map; the first time takes a minute …"
)
def places(_library: Library, key: str) -> Float[np.ndarray, "N 2"]:  # noqa: ARG001
    """Return where the images of a library lie on its map."""
    return Projection.cached(_library.cache_folder, _library.points()).xy
