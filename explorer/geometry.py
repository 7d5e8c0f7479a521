"""Geometry: new Points from old. Directions move on the unit sphere, lengths change linearly.

Every formula works on Points of one Space, row by row, or one point against many. It computes in
float64 and gives Points back: on the text side if every operand is, otherwise on the image side.
Operands of two Spaces raise SpaceMismatch; 2 points against 3 raise QueryError. This room knows no
model, no image and no file.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from explorer.errors import QueryError
from explorer.points import Points, Side

# Two directions closer than this are one direction: float32 encoders repeat themselves to 1e-6.
_SAME_DIRECTION = 1e-5  # radians
_MEAN_STEPS = 1000
_MEAN_TOLERANCE = 1e-10  # radians
_OPPOSITE = "point opposite ways: no one arc is shortest. Go by way of a third point."
_NO_CIRCLE = "point the same way: there is no circle to turn along. Turn by a fraction instead."
_NO_MIDDLE = (
    "These points have no one middle, since they lie opposite each other or all around the "
    "sphere. Take points within a half sphere, or other weights."
)
_NO_DIFFERENCE = "point the same way: there is no difference to follow. Use words that differ."


def angle(a: Points, b: Points) -> Float[np.ndarray, " N"]:
    """Measure the angle between directions, in radians from 0 to π.

    The arc tangent form keeps full precision near 0 and π, where the arc cosine loses half of it.

    Source: Kahan 2006, "How futile are mindless assessments of roundoff".

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> angle(axes[0], axes).round(4).tolist()
    [0.0, 1.5708]
    """
    _require_company(a, b)
    return _angle(_directions(a), _directions(b))


def slerp(a: Points, b: Points, t: float) -> Points:
    """Go from a to b along the great circle.

    Direction turns at constant speed; length changes linearly, because decoders read length too.

    Args:
        t: from 0, which gives a exactly, to 1, which gives b exactly.

    Raises:
        QueryError: a and b point opposite ways, so there is no one shortest arc; or t is not
            within 0 and 1.

    Source: Shoemake 1985; for CLIP, Ramesh et al. 2022, section 3.2.

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> slerp(axes[0], axes[1], 1 / 3).vectors.round(3).tolist()
    [[0.8659999966621399, 0.5]]
    """
    _require_company(a, b)
    if not 0 <= t <= 1:
        raise QueryError(
            f"slerp goes from t = 0 (the first point) to t = 1 (the second), but t is {t}. "
            "To go further, use rotate."
        )
    u, v = _directions(a), _directions(b)
    between = _angle(u, v)
    _refuse(np.pi - between < _SAME_DIRECTION, a, b, _OPPOSITE)
    lengths = (1 - t) * _lengths(a) + t * _lengths(b)
    return _result([a, b], lengths * _turn(u, v, between, t))


def rotate(
    start: Points, direction: Points, *, radians: float | None = None, fraction: float | None = None
) -> Points:
    """Turn start towards direction along the great circle; its length stays.

    A text diff is such a turn of an image's point: `rotate(image, text_diff(before, after),
    fraction=0.3)`. The paper's fractions lie between 0.25 and 0.50.

    Args:
        radians: how far to turn; negative turns away. Give this or `fraction`.
        fraction: how far to turn, as a part of the angle between the two; 1 arrives.

    Raises:
        QueryError: both amounts or none were given; the two point opposite ways; or they point
            the same way, so that `radians` has no circle to follow.

    Source: Ramesh et al. 2022, section 3.3.

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> angle(axes[0], rotate(axes[0], axes[1], radians=0.25)).round(4).tolist()
    [0.25]
    """
    _require_company(start, direction)
    amounts = [amount for amount in (radians, fraction) if amount is not None]
    if len(amounts) != 1 or not np.isfinite(amounts[0]):
        raise QueryError(
            "rotate needs one finite amount, as radians or as a fraction, "
            f"but got radians={radians} and fraction={fraction}."
        )
    u, v = _directions(start), _directions(direction)
    between = _angle(u, v)
    _refuse(np.pi - between < _SAME_DIRECTION, start, direction, _OPPOSITE)
    parts = np.full_like(between, amounts[0])
    if fraction is None:
        _refuse(between < _SAME_DIRECTION, start, direction, _NO_CIRCLE)
        parts /= between
    return _result([start, direction], _lengths(start) * _turn(u, v, between, parts[:, None]))


def text_diff(before: Points | None, after: Points) -> Points:
    """Give the direction in which words change: unit(unit(after) - unit(before)).

    The paper's variants are another `before`: the point of a neutral caption such as "a photo",
    or None, which leaves it out and gives unit(after). The result lies on the text side, since a
    direction between two points is no image: `rotate` an image's point towards it.

    Raises:
        QueryError: before and after are the same, so nothing changes between them.

    Source: Ramesh et al. 2022, section 3.3.

    >>> from explorer.points import Space
    >>> words = Points(np.eye(2), Space("plane", 2, "0f"), "text", ("cat", "dog"))
    >>> text_diff(words[0], words[1])
    Points(1 on the text side of plane (2 dimensions, 0f): 'cat → dog')
    """
    if before is None:
        return Points(_directions(after), after.space, "text", after.labels)
    _require_company(before, after)
    u, v = _directions(before), _directions(after)
    _refuse(_angle(u, v) < _SAME_DIRECTION, before, after, _NO_DIFFERENCE)
    return Points(_unit(v - u), after.space, "text", _written("{} → {}", before, after))


def analogy(a: Points, b: Points, c: Points) -> Points:
    """Add and subtract directions, a - b + c, as in king - man + woman.

    In words: the result is to c as a is to b. Its length is the mean of the three lengths.

    Raises:
        QueryError: the three cancel out, so that no direction is left.

    Source: Mikolov et al. 2013, "Linguistic regularities in continuous space word representations".

    >>> from explorer.points import Space
    >>> words = Points(np.eye(3), Space("room", 3, "0f"), "text", ("king", "man", "woman"))
    >>> analogy(*words).labels
    ('king - man + woman',)
    """
    _require_company(a, b, c)
    total = _directions(a) - _directions(b) + _directions(c)
    if (np.linalg.norm(total, axis=1) < _SAME_DIRECTION).any():
        raise QueryError("These directions cancel out: their sum points nowhere. Use others.")
    lengths = (_lengths(a) + _lengths(b) + _lengths(c)) / 3
    labels = _written("{} - {} + {}", a, b, c)
    return Points(lengths * _unit(total), a.space, _side(a, b, c), labels)


def mean(points: Points, weights: ArrayLike | None = None) -> Points:
    """Find the middle of the points: one point, the Fréchet mean of their directions.

    It is the direction with the smallest weighted sum of squared angles; its length is the
    weighted mean of the lengths. It is unique whenever the points lie within a half sphere.

    Args:
        weights: one number ≥ 0 a point, not all zero; None weighs all alike.

    Raises:
        QueryError: the points have no one middle, as two opposite ones; or the weights are wrong.

    Source: Afsari 2011, "Riemannian L^p center of mass"; iteration after Karcher 1977.

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image", ("a", "b"))
    >>> mean(axes).vectors.round(3).tolist()
    [[0.7070000171661377, 0.7070000171661377]]
    """
    shares = _shares(points, weights)
    middle = _frechet_mean(_directions(points), shares)
    length = float(shares @ _lengths(points)[:, 0])
    few = len(points) <= 3 and any(points.labels)
    label = f"mean of {', '.join(points.labels) if few else f'{len(points)} points'}"
    return Points(length * middle[None], points.space, points.side, (label,))


def _frechet_mean(
    directions: Float[np.ndarray, "N D"], shares: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " D"]:
    """Walk to where the arcs to all directions balance; steps of 1 never go uphill on a sphere."""
    kept, shares = directions[shares > 0], shares[shares > 0]
    total = shares @ kept
    if np.linalg.norm(total) < _SAME_DIRECTION:
        raise QueryError(_NO_MIDDLE)
    middle = total / np.linalg.norm(total)
    for _ in range(_MEAN_STEPS):
        angles = _angle(kept, middle[None])
        if np.pi - angles.max() < _SAME_DIRECTION:
            raise QueryError(_NO_MIDDLE)
        arcs = kept / np.sinc(angles / np.pi)[:, None]  # θ / sin θ; what lies along middle goes
        step = shares @ arcs
        step -= (step @ middle) * middle
        if (size := float(np.linalg.norm(step))) < _MEAN_TOLERANCE:
            return middle
        middle = _unit((np.cos(size) * middle + np.sin(size) * step / size)[None])[0]
    raise QueryError(_NO_MIDDLE)


def _shares(points: Points, weights: ArrayLike | None) -> Float[np.ndarray, " N"]:
    """The weights as parts of 1."""
    given = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (len(points),):
        raise QueryError(f"{len(points)} points need one weight each, not shape {given.shape}.")
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise QueryError(f"Weights must be finite, ≥ 0 and not all 0, not {given.tolist()}.")
    scaled = given / given.max()
    return scaled / scaled.sum()


def _turn(
    u: Float[np.ndarray, "A D"],
    v: Float[np.ndarray, "B D"],
    between: Float[np.ndarray, " N"],
    parts: float | Float[np.ndarray, "N 1"],
) -> Float[np.ndarray, "N D"]:
    """Directions at `parts` of the arc from u to v; sin(x)/x instead of sin(x), so 0 is no case.

    At 0 and 1 one weight is 0, so the ends come out exactly once they are float32 again.
    """
    arc = between[:, None] / np.pi  # np.sinc counts in units of π
    from_u = (1 - parts) * np.sinc((1 - parts) * arc)
    from_v = parts * np.sinc(parts * arc)
    return _unit(from_u * u + from_v * v)


def _angle(u: Float[np.ndarray, "A D"], v: Float[np.ndarray, "B D"]) -> Float[np.ndarray, " N"]:
    return 2 * np.arctan2(np.linalg.norm(u - v, axis=1), np.linalg.norm(u + v, axis=1))


def _unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _directions(points: Points) -> Float[np.ndarray, "N D"]:
    return _unit(points.vectors.astype(np.float64))


def _lengths(points: Points) -> Float[np.ndarray, "N 1"]:
    return np.linalg.norm(points.vectors.astype(np.float64), axis=1, keepdims=True)


def _side(*operands: Points) -> Side:
    return "text" if all(points.side == "text" for points in operands) else "image"


def _labels(points: Points, size: int) -> tuple[str, ...]:
    return points.labels if len(points) == size else points.labels * size


def _written(pattern: str, *operands: Points) -> tuple[str, ...]:
    """The operands' labels filled into a pattern, or nothing where they have none."""
    rows = zip(*(_labels(points, max(map(len, operands))) for points in operands), strict=True)
    return tuple(pattern.format(*row) if any(row) else "" for row in rows)


def _result(operands: list[Points], vectors: Float[np.ndarray, "N D"]) -> Points:
    """New points under the first operand's labels, or under the longer one's if it is one point."""
    named = next(points for points in operands if len(points) == len(vectors))
    return Points(vectors, named.space, _side(*operands), named.labels)


def _require_company(*operands: Points) -> None:
    """Operands must share a space and go together row by row, or one against many."""
    for points in operands[1:]:
        operands[0].space.check(points.space)
    sizes = {len(points) for points in operands} - {1}
    if len(sizes) > 1:
        shown = " and ".join(str(len(points)) for points in operands)
        raise QueryError(f"{shown} points do not go together. Give as many of each, or one.")


def _refuse(where: Bool[np.ndarray, " N"], a: Points, b: Points, reason: str) -> None:
    """Raise QueryError about the first pair of points for which `where` holds."""
    for row in np.flatnonzero(where)[:1]:
        names = (_labels(points, len(where))[row] for points in (a, b))
        first, second = (repr(name) if name else f"point {row}" for name in names)
        raise QueryError(f"{first} and {second} {reason}")
