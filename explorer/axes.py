"""Axes: two text diffs as x and y, on which every point has a place and every place a point."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.geometry import text_diff
from explorer.points import Points

Words = tuple[str, str]
_PARALLEL = 1e-6  # of the area that the axes span; below, they are one axis


@dataclass(frozen=True, eq=False)
class Axes:
    """Two directions to measure points along, x and y.

    Args:
        directions: two points, such as text diffs; they need not be orthogonal.

    Raises:
        QueryError: there are not two, or they are one direction, or opposite.

    Source: An et al. 2018, "SemAxis"; text diffs as directions, Ramesh et al. 2022, section 3.3.
    """

    directions: Points

    def __post_init__(self) -> None:
        if len(self.directions) != 2:
            raise QueryError(f"Two axes are needed, x and y, not {len(self.directions)}.")
        if np.linalg.det(self._products) < _PARALLEL:
            x, y = self.directions.labels
            raise QueryError(f"The axes {x!r} and {y!r} measure the same. Use other words for one.")

    @classmethod
    def read(cls, encoder: Encoder, x: Words, y: Words) -> Self:
        """Make each axis from the words before and after; "" before leaves them out.

        Raises:
            QueryError: before and after are the same, or the axes are.
        """
        parts = []
        for before, after in (x, y):
            start = encoder.encode_text([before]) if before else None
            parts.append(text_diff(start, encoder.encode_text([after])))
        return cls(Points.concat(parts))

    def coordinates(self, points: Points) -> Float[np.ndarray, "N 2"]:
        """Measure points: their cosines with both axes.

        Raises:
            SpaceMismatch: they are of another space.
        """
        self.directions.space.check(points.space)
        return points.unit @ self.directions.unit.T

    def at(self, base: Points, xy: Float[np.ndarray, "M 2"]) -> Points:
        """Find the points with these coordinates that are nearest to one base, at its length.

        The part of the base that the axes do not measure keeps its direction.

        Raises:
            SpaceMismatch: the base is of another space.
            QueryError: so large coordinates no direction has, or the axes measure all of the base.

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
            raise QueryError("No point lies there: these coordinates are too large together.")
        directions = along + np.sqrt(left) * rest / np.linalg.norm(rest)
        labels = [f"{x:.3g}, {y:.3g}" for x, y in np.asarray(xy)]
        return Points(base.norms[0] * directions, base.space, base.side, tuple(labels))

    @property
    def _axes(self) -> Float[np.ndarray, "2 D"]:
        return self.directions.unit.astype(np.float64)

    @property
    def _products(self) -> Float[np.ndarray, "2 2"]:
        return self._axes @ self._axes.T
