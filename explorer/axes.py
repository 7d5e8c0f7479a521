"""Axes: two text diffs as x and y; points have coordinates on them, and coordinates give points."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.geometry import text_diff
from explorer.points import Points

Words = tuple[str, str]
_PARALLEL = 1e-6  # squared area that the axes span; below, they count as parallel


@dataclass(frozen=True, eq=False)
class Axes:
    """Two directions, x and y, along which points are measured.

    Args:
        directions: two points, such as text diffs; they need not be orthogonal.

    Raises:
        QueryError: there are not two, or they are parallel.

    Source: An et al. 2018, "SemAxis"; text diffs as directions, Ramesh et al. 2022, section 3.3.
    """

    directions: Points

    def __post_init__(self) -> None:
        if len(self.directions) != 2:
            raise QueryError(f"Axes need two directions, x and y, not {len(self.directions)}.")
        if np.linalg.det(self._products) < _PARALLEL:
            x, y = self.directions.labels
            raise QueryError(f"The axes {x!r} and {y!r} are parallel. Use other words for one.")

    @classmethod
    def read(cls, encoder: Encoder, x: Words, y: Words) -> Self:
        """Construct each axis as the text diff of a caption before and after.

        Args:
            x: before and after; if before is "", the axis is the direction of after.
            y: the same for the second axis.

        Raises:
            QueryError: before and after have the same direction, or the axes are parallel.
        """
        parts = []
        for before, after in (x, y):
            start = encoder.encode_text([before]) if before else None
            parts.append(text_diff(start, encoder.encode_text([after])))
        return cls(Points.concat(parts))

    def coordinates(self, points: Points) -> Float[np.ndarray, "N 2"]:
        """Compute the cosines of points with both axes.

        Raises:
            SpaceMismatch: the points are of another space.
        """
        self.directions.space.check(points.space)
        return points.unit @ self.directions.unit.T

    @staticmethod
    def rows_at(
        xy: Float[np.ndarray, "N 2"], places: Float[np.ndarray, "M 2"]
    ) -> Int[np.ndarray, " K"]:
        """Choose for each place another of N points near it, so that all distances are small.

        The sum of the squared distances, each axis in its standard deviation, is the smallest.

        Returns:
            A row of `xy` for each place, in order; for the first N places if there are more.

        >>> Axes.rows_at(np.array([[0, 0], [1.0, 1]]), np.array([[0.9, 1], [1, 1.1]])).tolist()
        [0, 1]
        """
        from scipy.optimize import linear_sum_assignment

        scale = np.where(np.ptp(xy, axis=0) > 0, xy.std(axis=0), 1)
        far = (((places[: len(xy), None] - xy[None]) / scale) ** 2).sum(axis=2)
        return np.asarray(linear_sum_assignment(far)[1])

    def at(self, base: Points, xy: Float[np.ndarray, "M 2"]) -> Points:
        """Compute the points with these coordinates that are nearest to a base point.

        They have the base's length; the part of the base orthogonal to both axes keeps its
        direction.

        Args:
            xy: M × 2 cosines.

        Raises:
            SpaceMismatch: the base is of another space.
            QueryError: no direction has such large coordinates, or the base lies in the plane of
                the axes.

        >>> from explorer.points import Space
        >>> axes = Points(np.eye(3), Space("room", 3, "0f"), "image")
        >>> Axes(axes[:2]).at(axes[2], np.array([[0.6, 0]])).vectors.round(3).tolist()
        [[0.6000000238418579, 0.0, 0.800000011920929]]
        """
        self.directions.space.check(base.space)
        axes, inverse = self._axes, np.linalg.inv(self._products)
        start = base.unit[0].astype(np.float64)
        rest = start - (axes @ start) @ inverse @ axes
        along = np.asarray(xy, np.float64) @ inverse @ axes  # M D
        left = 1 - (along**2).sum(axis=1, keepdims=True)
        if (left < 0).any() or np.linalg.norm(rest) < _PARALLEL:
            raise QueryError(
                "No direction has these coordinates: x and y are too large together. Reduce them."
            )
        directions = along + np.sqrt(left) * rest / np.linalg.norm(rest)
        labels = [f"{x:.3g}, {y:.3g}" for x, y in np.asarray(xy)]
        return Points(base.norms[0] * directions, base.space, base.side, tuple(labels))

    @property
    def _axes(self) -> Float[np.ndarray, "2 D"]:
        return self.directions.unit.astype(np.float64)

    @property
    def _products(self) -> Float[np.ndarray, "2 2"]:
        return self._axes @ self._axes.T
