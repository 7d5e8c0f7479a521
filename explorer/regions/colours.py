"""Colours of a map by its crowds, with the words that the map has for them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from explorer.projection.colours import MAX_COLOURS, Colours
from explorer.regions.crowds import Region, looked_at

CLUSTERS = "Clusters"
MAX_NAMES = 2  # of smaller crowds, by which one without words of its own is called


def crowd_colours(
    xy: Float[np.ndarray, "N 2"],
    named: Sequence[Region],
    members: Sequence[Int[np.ndarray, " K"]],
) -> Colours | None:
    """Return one colour a crowd, those that have words first; None if there are none.

    A crowd that no word tells apart is called by the smaller ones that the map names within it,
    and by a number where it names none.

    Args:
        named: what `map_regions` found on the same places.
        members: the rows of each crowd, as `crowds` finds them.
    """
    from scipy.spatial import KDTree

    if len(members) < 2:
        return None
    words = [_words(rows, named) for rows in members]
    order = sorted(range(len(members)), key=lambda k: not words[k])[: MAX_COLOURS - 1]
    codes = np.full(len(xy), len(order), np.uint8)
    for code, k in enumerate(order):
        codes[members[k]] = code
    seen = looked_at(len(xy))
    if len(seen) < len(codes):  # the others are what the nearest that was looked at is
        codes = codes[seen][KDTree(xy[seen]).query(xy)[1]]
    names = [words[k] or f"crowd {k + 1}" for k in order]
    others = (codes == len(order)).any()
    return Colours(CLUSTERS, codes, (*names, *[None] * bool(others)))


def _words(rows: Int[np.ndarray, " K"], named: Sequence[Region]) -> str:
    """Return the words of a crowd, else those of the largest named ones within it, else none."""
    for region in named:
        if not region.level and region.rows[0] == rows[0] and len(region.rows) == len(rows):
            return region.words
    within = [r for r in named if r.level and np.isin(r.rows, rows).mean() > 0.5]
    within.sort(key=lambda region: -len(region.rows))
    return " · ".join(region.words for region in within[:MAX_NAMES])
