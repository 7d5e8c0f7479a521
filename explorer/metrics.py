"""Measures: each formula of a score, a distance or an interval stands here, and only here.

Takes arrays and Points, returns numbers. It knows no model, no image and no file.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from explorer.points import Points

SPEARMAN_DIGITS = 12  # beyond which rounding errors would make 1 of a perfect order 0.99…


def found(
    scores: Float[np.ndarray, "N M"], right: Int[np.ndarray, " N"], k: int
) -> Bool[np.ndarray, " N"]:
    """Return whether the right column of each row is among its k highest.

    >>> found(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), 1).tolist()
    [True, False]
    """
    own = scores[np.arange(len(scores)), right]
    return (scores > own[:, None]).sum(1) < k


def recall(scores: Float[np.ndarray, "N M"], right: Int[np.ndarray, " N"], k: int) -> float:
    """Return the share of rows whose right column is among their k highest (recall@k).

    >>> recall(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), 1)
    0.5
    """
    return float(found(scores, right, k).mean())


def cosines(a: Points, b: Points) -> Float[np.ndarray, " N"]:
    """Return the cosine of each point with its partner."""
    return np.einsum("nd,nd->n", a.unit, b.unit)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, from `hits` successes in n trials.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    >>> tuple(round(end, 3) for end in wilson(5, 10))
    (0.237, 0.763)
    """
    from scipy.stats import binomtest

    if n < 1:
        return 0.0, 1.0
    interval = binomtest(int(hits), int(n)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(
    values: Shaped[np.ndarray, "N ..."],
    statistic: Callable[[np.ndarray], float] = np.mean,
    *,
    groups: Int[np.ndarray, " N"] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of rows drawn with replacement.

    Args:
        groups: one number a row; whole groups are drawn. Trials with one target succeed or fail
            together, so that the targets are drawn, not the trials. None draws single rows.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", percentile interval.

    >>> bootstrap(np.array([3.0, 3, 4, 4]), groups=np.array([0, 0, 1, 1]))
    (3.0, 4.0)
    """
    keys = np.arange(len(values)) if groups is None else groups
    _, group = np.unique(keys, return_inverse=True)
    count = int(group.max()) + 1
    rng, even = np.random.default_rng(seed), np.full(count, 1 / count)
    statistics = [
        statistic(np.repeat(values, rng.multinomial(count, even)[group], axis=0))
        for _ in range(draws)
    ]
    low, high = np.quantile(statistics, (0.025, 0.975))
    return float(low), float(high)


def spearman(a: Float[np.ndarray, " N"], b: Float[np.ndarray, " N"]) -> float:
    """Return the rank correlation of two rows of numbers, -1 to 1; 0 if one of them is constant.

    Source: Spearman 1904, "The proof and measurement of association between two things".

    >>> spearman(np.array([1.0, 2, 3]), np.array([1.0, 10, 100]))
    1.0
    """
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return round(float(spearmanr(a, b).statistic), SPEARMAN_DIGITS)


def steadiness(values: Float[np.ndarray, " N"]) -> float:
    """Return the rank correlation of values with their order: 1 if each exceeds the one before.

    >>> steadiness(np.array([1.0, 2, 5])), steadiness(np.array([3.0, 1, 2]))
    (1.0, -0.5)
    """
    return spearman(values, np.arange(len(values)))


def frechet(a: Float[np.ndarray, "N D"], b: Float[np.ndarray, "M D"]) -> float:
    """Return the Fréchet distance of the Gaussians fitted to two sets: FID, in whichever space.

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
    """Return the axes along which the rows spread most, the widest first."""
    _, axes = np.linalg.eigh(np.cov(rows, rowvar=False))
    return axes[:, ::-1][:, :count]


def three_ways(
    see: Callable[..., Points],
    images: Points,
    captions: Points,
    carried: Points,
    real: Points,
    right: Int[np.ndarray, " N"],
    axes: int,
) -> dict[str, dict[str, float]]:
    """Compare what a decoder makes of captions: without a point, of the text's, of the prior's.

    The fourth way, the image's own point, is for scale. "no point" is guidance 0: it shows what
    the decoder gives when it is told nothing, since it may read no text. Text points get the mean
    length of `real`. Row i starts from the noise of seed i.

    Args:
        see: decodes points, with `seed` and `guidance` as options, and encodes the images.
        images: the points of N images, and `carried` what the prior makes of their captions.
        captions: text points among which a decode is to find its own, `right` says which.
        real: the image points that the decodes are compared with as a whole.
        axes: how many leading axes of `real` the Fréchet distance is measured on.

    Returns:
        For each way: `frechet` distance to `real`; `round_trip`, the median cosine of a decode
        with its image's own point; `words_at_10`, how often it finds its caption among ten.

    Source: Ramesh et al. 2022, section 5.1 and figure 8; Heusel et al. 2017.
    """
    leading = leading_axes(real.unit, axes)
    table = {}
    for way, (points, options) in _ways(images, captions[right], carried, real).items():
        seen = see(points, seed=range(len(points)), **options)
        table[way] = {
            "frechet": frechet(seen.unit @ leading, real.unit @ leading),
            "round_trip": float(np.median(cosines(seen, images))),
            "words_at_10": recall(seen.unit @ captions.unit.T, right, 10),
        }
    return table


def _ways(
    images: Points, texts: Points, carried: Points, real: Points
) -> dict[str, tuple[Points, dict[str, float]]]:
    """Return what to decode by each way, with the decoder's options."""
    as_image = texts.as_image().with_vectors(texts.unit * real.norms.mean())
    return {
        "no point": (images, {"guidance": 0.0}),
        "text point": (as_image, {}),
        "prior": (carried, {}),
        "image point": (images, {}),
    }


def trustworthiness(
    unit: Float[np.ndarray, "N D"], xy: Float[np.ndarray, "N 2"], k: int
) -> tuple[float, float]:
    """Return the trustworthiness and the continuity of a map; 1 is perfect, chance about 0.5.

    A map is trustworthy if the k neighbours on it are neighbours in the space, and continuous if
    the k neighbours in the space are neighbours on it.

    Args:
        unit: unit vectors, whose cosine and Euclidean neighbours are the same.

    Source: Venna & Kaski 2001, by scikit-learn; continuity swaps the space and the map.
    """
    from sklearn import manifold

    kept, lost = (unit, xy), (xy, unit)
    trust, continuity = (
        float(manifold.trustworthiness(*both, n_neighbors=k)) for both in (kept, lost)
    )
    return trust, continuity


def fewest(scores: dict[int, float], best: float, within: float = 0.01) -> int | None:
    """Return the smallest key whose score reaches `best` but for a part of it, or None.

    >>> fewest({4: 0.80, 8: 0.95, 12: 0.94}, best=0.95)
    8
    """
    enough = [steps for steps, score in scores.items() if score >= (1 - within) * best]
    return min(enough, default=None)
