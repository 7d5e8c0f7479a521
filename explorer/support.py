"""Support: how far a point lies from anything real, judged by points of real images.

It works on vectors; it knows no image, no library and no model. Nothing is trained.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float

from explorer.errors import QueryError
from explorer.index import Index
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("nearest", "likelihood", "conformity")


@dataclass(frozen=True, eq=False)
class Support:
    """What real points are like. Three measures, each higher for points that are more usual.

    nearest: the cosine with the k-th nearest real point (Sun et al. 2022).
    likelihood: the log-likelihood in nats, after whitening the raw vectors (Betser et al. 2025).
    conformity: the mean cosine with all real points (Levi & Gilboa 2025).

    The last two grow towards the middle of the cloud, where nothing real lies either: there, a
    percentile near 100 is as odd as one near 0. `nearest` has no such place.

    Args:
        reference: real points that others are compared with.
        held_out: real points apart from these, which say what is usual.
        neighbours: k.
    """

    reference: Points
    held_out: Points
    neighbours: int = 10

    @classmethod
    def fit(cls, points: Points, *, neighbours: int = 10, seed: int = 0) -> Self:
        """Take real points, a fifth of them held out. Some thousands drawn at random are enough.

        Raises:
            QueryError: fewer than 3 × `neighbours` points, or no neighbours.
        """
        if neighbours < 1 or len(points) < 3 * neighbours:
            raise QueryError(
                f"Support by {neighbours} neighbours needs {3 * max(neighbours, 1)} real points or "
                f"more, not {len(points)}; and at least one neighbour."
            )
        order = np.random.default_rng(seed).permutation(len(points))
        held = len(points) // 5
        return cls(points[order[held:]], points[order[:held]], neighbours)

    def score(self, points: Points) -> "pd.DataFrame":
        """Measure points, one a row, each measure beside its percentile among the held-out points.

        A percentile of 3 says that 3 % of real images lie farther out. A point of the reference
        finds itself as its nearest.

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
            usual = self._usual[name]
            below = np.searchsorted(usual, values) + np.searchsorted(usual, values, side="right")
            columns |= {name: values, f"{name} percentile": 50 * below / len(usual)}
        return pd.DataFrame(columns)

    def _measure(self, points: Points) -> dict[str, Float[np.ndarray, " N"]]:
        cosines, _ = self._index.search(points.unit, self.neighbours)
        mean, whiten = self._whitening
        squares = (((points.vectors - mean) @ whiten) ** 2).sum(1)
        likelihood = -(points.space.dimension * np.log(2 * np.pi) + squares) / 2
        conformity = points.unit @ self.reference.unit.mean(0)  # the mean of the cosines, exactly
        return dict(zip(MEASURES, (cosines[:, -1], likelihood, conformity), strict=True))

    @cached_property
    def _usual(self) -> dict[str, Float[np.ndarray, " N"]]:
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
