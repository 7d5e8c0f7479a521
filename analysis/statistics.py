"""Statistics: how sure a share or a number is, and rows in chunks so that memory stays bounded."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Shaped

from explorer.sampler import batches as chunks

__all__ = ["bootstrap", "chunks", "percent", "wilson"]

_Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Where the true share lies with 95 % confidence, from `hits` successes in n trials.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    >>> tuple(round(end, 3) for end in wilson(5, 10))
    (0.237, 0.763)
    """
    if n < 1:
        return 0.0, 1.0
    share, spread = hits / n, _Z**2 / n
    middle = share + spread / 2
    half = np.sqrt(spread * (share * (1 - share) + spread / 4))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return (float(low) if hits > 0 else 0.0), (float(high) if hits < n else 1.0)


def percent(hits: int, n: int) -> str:
    """Write a share with its Wilson interval.

    >>> percent(5, 10)
    '50 % (23.7 to 76.3 %)'
    """
    low, high = wilson(hits, n)
    return f"{100 * hits / max(n, 1):.3g} % ({100 * low:.3g} to {100 * high:.3g} %)"


def bootstrap(
    values: Shaped[np.ndarray, "N ..."],
    statistic: Callable[[np.ndarray], float] = np.mean,
    seed: int = 0,
    draws: int = 1000,
) -> tuple[float, float]:
    """Where 95 % of the statistics of rows drawn again with replacement lie.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", percentile interval.

    >>> bootstrap(np.ones(5))
    (1.0, 1.0)
    """
    rng = np.random.default_rng(seed)
    found = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(draws)]
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
