"""A map that grows: which points it has already, and how well those lie that came later."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from explorer.points import Points

CHUNK = 16_384  # rows that are hashed at once
SAMPLE = 500  # points whose places are judged
AMONG = 5000  # points that they are judged among
NEIGHBOURS = 15


def digests(points: Points) -> UInt64[np.ndarray, " N"]:
    """Return a number for each vector; equal vectors have equal ones, others differ.

    Two of a million different vectors share one with a chance of 1 in 10 million, unless made to.

    Source: multiply-add hashing, Dietzfelbinger et al. 1997.
    """
    words = points.vectors.view(np.uint32)
    factors = np.random.default_rng(0).integers(0, 2**64, words.shape[1], np.uint64, False)
    parts = [words[lo : lo + CHUNK] @ factors for lo in range(0, len(words), CHUNK)]
    return np.concatenate(parts)


def same_rows(
    old: UInt64[np.ndarray, " M"], new: UInt64[np.ndarray, " N"]
) -> Int[np.ndarray, " N"]:
    """Return the row that each point has among old ones, -1 for a new point; copies in order.

    Args:
        old: `digests` of the old points.
        new: `digests` of all.
    """
    if not len(old):
        return np.full(len(new), -1)
    both = np.concatenate([old, new])
    names = np.unique(both, return_inverse=True)[1].astype(np.int64) * len(both)
    left, right = (part + _copies_before(part) for part in np.split(names, [len(old)]))
    order = np.argsort(left)
    at = np.minimum(np.searchsorted(left[order], right), len(left) - 1)
    return np.where(left[order][at] == right, order[at], -1)


def _copies_before(names: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Return how many equal names stand before each."""
    order = np.argsort(names, kind="stable")
    _, first, sizes = np.unique(names[order], return_index=True, return_counts=True)
    result = np.empty(len(names), np.int64)
    result[order] = np.arange(len(names)) - np.repeat(first, sizes)
    return result


def drift_of(
    points: Points, xy: Float[np.ndarray, "N 2"], placed: Bool[np.ndarray, " N"] | None
) -> float:
    """Return the trustworthiness of the points that were fitted less that of the placed ones."""
    if placed is None or placed.all() or not placed.any():
        return 0.0
    rng = np.random.default_rng(0)
    among = rng.permutation(len(points))[:AMONG]
    if len(among) <= 3 * NEIGHBOURS:
        return 0.0
    fitted, late = (
        _trustworthiness(points, xy, rng.permutation(rows)[:SAMPLE], among)
        for rows in (np.flatnonzero(~placed), np.flatnonzero(placed))
    )
    return fitted - late


def _trustworthiness(
    points: Points,
    xy: Float[np.ndarray, "N 2"],
    rows: Int[np.ndarray, " Q"],
    among: Int[np.ndarray, " A"],
) -> float:
    """Return how truly rows lie among some others; 1 is perfect."""
    itself = rows[:, None] == among
    likeness = np.where(itself, -np.inf, points[rows].unit @ points[among].unit.T)
    apart = ((xy[rows, None].astype(np.float64) - xy[among]) ** 2).sum(axis=2)
    near = np.argpartition(np.where(itself, np.inf, apart), NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    found = np.take_along_axis(likeness, near, axis=1)
    ranks = np.stack([(likeness > each[:, None]).sum(axis=1) + 1 for each in found.T])
    excess = np.maximum(ranks - NEIGHBOURS, 0).mean()
    return 1 - float(2 * excess / (2 * len(among) - 3 * NEIGHBOURS - 1))
