"""Measures: the formulas behind pocket's model card, each on plain arrays.

Returns numbers. It knows no model, no image and no file.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.points import Points


def found(
    scores: Float[np.ndarray, "N M"], right: Int[np.ndarray, " N"], k: int
) -> Bool[np.ndarray, " N"]:
    """Whether the right column of a row is among its k highest.

    >>> found(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), 1).tolist()
    [True, False]
    """
    own = scores[np.arange(len(scores)), right]
    return (scores > own[:, None]).sum(1) < k


def recall(scores: Float[np.ndarray, "N M"], right: Int[np.ndarray, " N"], k: int) -> float:
    """How often the right column of a row is among its k highest.

    >>> recall(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), 1)
    0.5
    """
    return float(found(scores, right, k).mean())


def cosines(a: Points, b: Points) -> Float[np.ndarray, " N"]:
    """Cosine of each point with its partner."""
    return np.einsum("nd,nd->n", a.unit, b.unit)


def interval(
    hits: Bool[np.ndarray, " N"], groups: Int[np.ndarray, " N"], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Where 95 % of the shares of hits lie if whole groups are drawn again with replacement.

    Trials with one target succeed or fail together, so that the targets are drawn, not the trials.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", percentile interval.

    >>> interval(np.array([True] * 4), np.array([0, 0, 1, 1]))
    (1.0, 1.0)
    """
    _, group = np.unique(groups, return_inverse=True)
    sizes, sums = np.bincount(group), np.bincount(group, hits)
    times = np.random.default_rng(seed).multinomial(
        len(sizes), np.full(len(sizes), 1 / len(sizes)), draws
    )
    low, high = np.quantile(times @ sums / (times @ sizes), (0.025, 0.975))
    return float(low), float(high)


def frechet(a: Float[np.ndarray, "N D"], b: Float[np.ndarray, "M D"]) -> float:
    """Fréchet distance between the Gaussians fitted to two sets: FID, in whichever space these are.

    |μa - μb|² + tr(A + B - 2 (A^½ B A^½)^½). With fewer rows than dimensions the covariances are
    too flat to trust: give the leading axes only.

    Source: Dowson & Landau 1982; Heusel et al. 2017 (FID).

    >>> round(frechet(np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])), 6)  # N(0, 2), N(3, 8)
    11.0
    """
    apart = a.mean(0) - b.mean(0)
    one, other = (np.cov(rows, rowvar=False).reshape(a.shape[1], -1) for rows in (a, b))
    values, axes = np.linalg.eigh(one)
    root = axes * np.sqrt(np.maximum(values, 0)) @ axes.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(apart @ apart + np.trace(one) + np.trace(other) - 2 * shared)


def leading_axes(rows: Float[np.ndarray, "N D"], count: int) -> Float[np.ndarray, "D K"]:
    """The axes along which the rows spread most, the widest first."""
    _, axes = np.linalg.eigh(np.cov(rows, rowvar=False))
    return axes[:, ::-1][:, :count]


def fewest(scores: dict[int, float], best: float, within: float = 0.01) -> int | None:
    """The smallest key whose score reaches `best` but for a part of it; None if there is none.

    >>> fewest({4: 0.80, 8: 0.95, 12: 0.94}, best=0.95)
    8
    """
    enough = [steps for steps, score in scores.items() if score >= (1 - within) * best]
    return min(enough, default=None)
