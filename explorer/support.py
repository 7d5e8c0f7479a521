"""Support: how typical a point is, compared with points of real images.

It works on vectors; it knows no image, no library and no model. Nothing is trained.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Bool, Float

from explorer.errors import QueryError
from explorer.index import Index
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

OUTSIDE_PERCENTILE = 1.0  # of held-out real points, below which a point counts as outside
MEASURES = ("nearest", "likelihood", "conformity")


@dataclass(frozen=True, eq=False)
class Support:
    """Three measures of how typical points are, each higher for more typical points.

    nearest: cosine with the k-th nearest real point (Sun et al. 2022).
    likelihood: log-likelihood in nats, after whitening the raw vectors (Betser et al. 2025).
    conformity: mean cosine with all real points (Levi & Gilboa 2025).

    The last two are highest at the centre of the cloud, where no real points lie: for them, a
    percentile near 100 is as unusual as one near 0. `nearest` does not have this fault.

    Args:
        reference: real points to compare with.
        held_out: other real points, whose measures give the percentiles.
        neighbours: k.
        on_white: whether all the images behind it stand on white.
    """

    reference: Points
    held_out: Points
    neighbours: int = 10
    on_white: bool = False

    @classmethod
    def fit(cls, points: Points, *, neighbours: int = 10, seed: int = 0) -> Self:
        """Fit to real points, of which a fifth is held out; a random sample of thousands will do.

        Raises:
            QueryError: `neighbours` is below 1, or there are fewer than 3 × `neighbours` points.
        """
        if neighbours < 1 or len(points) < 3 * neighbours:
            raise QueryError(
                f"Support.fit with {neighbours} neighbours and {len(points)} points needs at least "
                f"one neighbour and {3 * max(neighbours, 1)} real points."
            )
        order = np.random.default_rng(seed).permutation(len(points))
        held = len(points) // 5
        return cls(points[order[held:]], points[order[:held]], neighbours)

    def score(self, points: Points) -> "pd.DataFrame":
        """Measure points: one row per point, each measure with its percentile.

        Percentiles are among the held-out points: at 3, 3 % of real images are less typical. A
        point of the reference finds itself as its nearest.

        Raises:
            SpaceMismatch: the points are of another space.

        >>> from explorer.points import Space
        >>> cloud = np.random.default_rng(0).normal((9, 0), 1, (200, 2))
        >>> support = Support.fit(Points(cloud, Space("plane", 2, "0f"), "image"))
        >>> far = support.held_out[:1].with_vectors(np.array([[-9.0, 0]]))
        >>> support.score(far)["nearest percentile"].tolist()
        [0.0]
        """
        import pandas as pd

        self.reference.space.check(points.space)
        columns: dict[str, Float[np.ndarray, " N"]] = {}
        for name, values in self._measure(points).items():
            real = self._held_out_measures[name]
            below = np.searchsorted(real, values) + np.searchsorted(real, values, side="right")
            columns |= {name: values, f"{name} percentile": 50 * below / len(real)}
        return pd.DataFrame(columns)

    def outside(self, points: Points) -> Bool[np.ndarray, " N"]:
        """Return which points lie outside: farther from their neighbours than 99 % of real points.

        Raises:
            SpaceMismatch: the points are of another space.
        """
        self.reference.space.check(points.space)
        return self._nearest(points) < self._least_near

    def _nearest(self, points: Points) -> Float[np.ndarray, " N"]:
        cosines, _ = self._index.search(points.unit, self.neighbours)
        return cosines[:, -1]

    @cached_property
    def _least_near(self) -> float:
        return float(np.percentile(self._nearest(self.held_out), OUTSIDE_PERCENTILE))

    def _measure(self, points: Points) -> dict[str, Float[np.ndarray, " N"]]:
        mean, whiten = self._whitening
        squares = (((points.vectors - mean) @ whiten) ** 2).sum(1)
        likelihood = -(points.space.dimension * np.log(2 * np.pi) + squares) / 2
        conformity = points.unit @ self.reference.unit.mean(0)  # the mean of the cosines, exactly
        return dict(zip(MEASURES, (self._nearest(points), likelihood, conformity), strict=True))

    @cached_property
    def _held_out_measures(self) -> dict[str, Float[np.ndarray, " N"]]:
        return {name: np.sort(values) for name, values in self._measure(self.held_out).items()}

    @cached_property
    def _index(self) -> Index:
        return Index(self.reference.unit, self.reference.space.dimension)

    @cached_property
    def _whitening(self) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, "D D"]]:
        """Return the mean, and the matrix that makes the covariance 1.

        Source: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance
        matrices", section 3.2, by scikit-learn.
        """
        from sklearn.covariance import ledoit_wolf

        rows = self.reference.vectors.astype(np.float64)
        covariance, _ = ledoit_wolf(rows)  # shrunk: it can be inverted even where rows are few
        values, axes = np.linalg.eigh(covariance)
        return rows.mean(0), axes / np.sqrt(np.maximum(values, 1e-12))  # copies do not scatter
