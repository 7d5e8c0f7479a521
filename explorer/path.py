"""Path: a function from t in [0, 1] to Points, such as an interpolation or a text diff.

It returns Points and decodes nothing: a decoder turns `path.sample(n)` into frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from explorer.errors import QueryError
from explorer.geometry import angle, rotate, slerp
from explorer.points import Points


@dataclass(frozen=True)
class Path:
    """A curve through one Space, traversed at constant speed as t goes from 0 to 1.

    `Path.slerp`, `Path.rotate` and `Path.through` construct the paths of the paper; any other
    function can be passed.

    Args:
        function: returns one point for every t in [0, 1].
        length: total angle that the direction turns, in radians.

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> path = Path.slerp(axes[0], axes[1])
    >>> round(path.length, 4), path.sample(3).labels
    (1.5708, ('t=0', 't=0.5', 't=1'))
    """

    function: Callable[[float], Points]
    length: float

    @classmethod
    def slerp(cls, a: Points, b: Points) -> Self:
        """Construct the interpolation from a to b along the great circle.

        Raises:
            SpaceMismatch: a and b are of different spaces.
            QueryError: they are antipodal, or not one point each.

        Source: Ramesh et al. 2022, section 3.2.
        """
        _require_single(a, b)
        slerp(a, b, 0.5)  # raises on antipodal points now, not at the first frame
        return cls(lambda t: slerp(a, b, t), float(angle(a, b)[0]))

    @classmethod
    def rotate(
        cls,
        start: Points,
        direction: Points,
        *,
        radians: float | None = None,
        fraction: float | None = None,
    ) -> Self:
        """Construct the rotation of a point towards a direction, such as a text diff.

        Args:
            radians: angle to rotate by; negative rotates away. Pass this or `fraction`.
            fraction: the same as a fraction of the angle between the two.

        Raises:
            SpaceMismatch: the two are of different spaces.
            QueryError: as for `geometry.rotate`, or they are not one point each.

        Source: Ramesh et al. 2022, section 3.3.
        """
        _require_single(start, direction)
        rotate(start, direction, radians=radians, fraction=fraction)  # raises on bad input now
        if fraction is not None:
            length = abs(fraction) * float(angle(start, direction)[0])
            return cls(lambda t: rotate(start, direction, fraction=fraction * t), length)
        whole = float(radians or 0)
        return cls(lambda t: rotate(start, direction, radians=whole * t), abs(whole))

    @classmethod
    def through(cls, points: Points | Sequence[Points], closed: bool = False) -> Self:
        """Construct the path through points in order, along great circles, at constant speed.

        Args:
            closed: return to the first point at the end.

        Raises:
            SpaceMismatch, SideMismatch: the points are of different spaces or sides.
            QueryError: there are fewer than two points, or two successive ones are antipodal.
        """
        if len(points) == 0:
            raise QueryError("Path.through needs at least 2 points, not 0.")
        stops = points if isinstance(points, Points) else Points.concat(points)
        if len(stops) < 2:
            raise QueryError("Path.through needs at least 2 points, not 1.")
        if closed:
            stops = Points.concat([stops, stops[0]])
        slerp(stops[:-1], stops[1:], 0.5)  # raises on antipodal points now
        legs = angle(stops[:-1], stops[1:])
        length = float(legs.sum())
        times = np.concatenate([[0.0], np.cumsum(legs if length else np.ones_like(legs))])
        times /= times[-1]

        def function(t: float) -> Points:
            # a first leg of angle 0 ends at t = 0 too, but the path starts at the first point
            position = float(np.interp(t, times, np.arange(len(times)))) if t else 0.0
            leg = min(int(position), len(legs) - 1)
            return slerp(stops[leg], stops[leg + 1], position - leg)

        return cls(function, length)

    def at(self, t: float) -> Points:
        """Return the point at t in [0, 1], labelled with t.

        Raises:
            QueryError: t is outside [0, 1].
        """
        if not 0 <= t <= 1:
            raise QueryError(f"A path is defined from t = 0 to t = 1, not at t = {t}.")
        return self.function(float(t)).with_labels([f"t={t:.4g}"])

    def _repr_html_(self) -> str:
        from explorer import html

        shown = self.sample(5)
        cells = map(html.strip, shown.vectors, shown.labels)
        return html.card(f"Path of {self.length:.3g} radians in {shown.space}", cells)

    def sample(self, n: int) -> Points:
        """Sample n points at equal steps of t, including both ends.

        Raises:
            QueryError: n is below 2.
        """
        if n < 2:
            raise QueryError(f"A path needs 2 samples or more to include both ends, not {n}.")
        return Points.concat([self.at(t) for t in np.linspace(0, 1, n)])


def even_times(distances: Float[np.ndarray, " T"], n: int) -> Float[np.ndarray, " n"]:
    """Compute n times from 0 to 1 at which a path changes by equal steps.

    Decoded images change at another speed than their points. `distances` measures how much they
    change between T + 1 equal times; where they change fast, the returned times are closer. This
    is arc-length parametrisation, with constant speed between two measured times.

    Args:
        distances: ≥ 0, in any unit; if all are zero, the times are equally spaced.

    Returns:
        n increasing times, the first 0 and the last 1.

    >>> even_times(np.array([3.0, 1.0]), 5).round(3).tolist()
    [0.0, 0.167, 0.333, 0.5, 1.0]
    """
    travelled = np.concatenate([[0.0], np.cumsum(distances)])
    if travelled[-1] == 0:
        return np.linspace(0, 1, n)
    reached, first = np.unique(travelled, return_index=True)  # skips times without change
    times = np.interp(np.linspace(0, reached[-1], n), reached, first / len(distances))
    times[-1] = 1.0
    return times


def _require_single(*points: Points) -> None:
    for each in points:
        if len(each) != 1:
            raise QueryError(
                f"A path starts and ends at one point, but got {len(each)} points. Select one, as "
                "in points[0], or pass all to Path.through(points)."
            )
