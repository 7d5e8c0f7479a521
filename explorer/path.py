"""Path: a function from t in [0, 1] to Points, such as an interpolation or a text diff.

It returns Points and draws nothing: a decoder turns `path.sample(n)` into frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from explorer import jupyter
from explorer.errors import QueryError
from explorer.geometry import angle, rotate, slerp
from explorer.points import Points


@dataclass(frozen=True)
class Path:
    """A way through one Space, walked at constant speed as t goes from 0 to 1.

    Any function will do; the three constructors below make the paths of the paper.

    Args:
        function: gives one point for every t in [0, 1].
        length: how far the direction turns on the way, in radians.

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
        """Interpolate: from one point to another along the great circle.

        Raises:
            SpaceMismatch: a and b live in two spaces.
            QueryError: they point opposite ways, or are not one point each.

        Source: Ramesh et al. 2022, section 3.2.
        """
        _require_single(a, b)
        slerp(a, b, 0.5)  # refuses opposite points now, not at the first frame
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
        """Turn a point towards a direction, such as a text diff; its length stays.

        Args:
            radians: how far to turn; negative turns away. Give this or `fraction`.
            fraction: how far to turn, as a part of the angle between the two.

        Raises:
            SpaceMismatch: the two live in two spaces.
            QueryError: as for `geometry.rotate`, or not one point each.

        Source: Ramesh et al. 2022, section 3.3.
        """
        _require_single(start, direction)
        rotate(start, direction, radians=radians, fraction=fraction)  # refuses bad input now
        if fraction is not None:
            length = abs(fraction) * float(angle(start, direction)[0])
            return cls(lambda t: rotate(start, direction, fraction=fraction * t), length)
        turn = float(radians or 0)
        return cls(lambda t: rotate(start, direction, radians=turn * t), abs(turn))

    @classmethod
    def through(cls, points: Points | Sequence[Points], closed: bool = False) -> Self:
        """Visit points in their order along great circles, at one speed all the way.

        Args:
            closed: return to the first point at the end.

        Raises:
            SpaceMismatch, SideMismatch: the points do not share a space and a side.
            QueryError: fewer than two points, or two in a row point opposite ways.
        """
        if len(points) == 0:
            raise QueryError("A path needs at least 2 points to go through, but got none.")
        stops = points if isinstance(points, Points) else Points.concat(points)
        if len(stops) < 2:
            raise QueryError("A path needs at least 2 points to go through, but got 1.")
        if closed:
            stops = Points.concat([stops, stops[0]])
        slerp(stops[:-1], stops[1:], 0.5)  # refuses opposite points now, not at the first frame
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
        """Stop at one t in [0, 1]: one point, labelled with its t.

        Raises:
            QueryError: t lies outside.
        """
        if not 0 <= t <= 1:
            raise QueryError(f"A path runs from t = 0 to t = 1, so it has no point at t = {t}.")
        return self.function(float(t)).with_labels([f"t={t:.4g}"])

    def _repr_html_(self) -> str:
        shown = self.sample(5)
        cells = map(jupyter.strip, shown.vectors, shown.labels)
        return jupyter.card(f"Path of {self.length:.3g} radians in {shown.space}", cells)

    def sample(self, n: int) -> Points:
        """Stop n times at equal distances, both ends included.

        Raises:
            QueryError: n is below 2.
        """
        if n < 2:
            raise QueryError(f"A path has two ends, so it takes 2 samples or more, not {n}.")
        return Points.concat([self.at(t) for t in np.linspace(0, 1, n)])


def even_times(distances: Float[np.ndarray, " T"], n: int) -> Float[np.ndarray, " n"]:
    """Find n times from 0 to 1 between which a path shows equal changes.

    Decoded images do not change at the speed at which their points turn: `distances` says how
    far apart T + 1 of them, at equal times, look. Where they change fast, the times lie closer.
    This is the parametrisation by arc length, with the speed taken as constant between two.

    Args:
        distances: ≥ 0, in any unit; all zero gives equal times.

    >>> even_times(np.array([3.0, 1.0]), 5).round(3).tolist()
    [0.0, 0.167, 0.333, 0.5, 1.0]
    """
    gone = np.concatenate([[0.0], np.cumsum(distances)])
    if gone[-1] == 0:
        return np.linspace(0, 1, n)
    known, first = np.unique(gone, return_index=True)  # where nothing changes, time is skipped
    times = np.interp(np.linspace(0, known[-1], n), known, first / len(distances))
    times[-1] = 1.0
    return times


def _require_single(*points: Points) -> None:
    for each in points:
        if len(each) != 1:
            raise QueryError(
                f"A path goes from one point to one point, but one of these is {len(each)} points. "
                "Choose one, as in points[0], or go through all with Path.through(points)."
            )
