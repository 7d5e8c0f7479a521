"""Geometry: formulas on Points. Directions move on the unit sphere, lengths change linearly.

Every formula works on Points of one Space, row by row; one point broadcasts against many. It
computes in float64 and returns Points: on the text side if every operand is, otherwise on the image
side. Operands of two Spaces raise SpaceMismatch; 2 points with 3 raise QueryError. It knows no
model, no image and no file.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from explorer.errors import QueryError
from explorer.points import Points, Side

# Closer directions count as equal: a float32 encoder reproduces a direction to about 1e-6.
_SAME_DIRECTION = 1e-5  # radians
_MEAN_STEPS = 1000
_MEAN_TOLERANCE = 1e-10  # radians
_ANTIPODAL = "are antipodal, so the shortest arc is not unique; insert a third point."
_NO_CIRCLE = (
    "have the same direction, so no great circle through them is defined; pass `fraction` instead "
    "of `radians`."
)
_NO_MEAN = (
    "The mean of these points is not unique, because they are antipodal or surround the sphere. "
    "Use points within a half sphere, or other weights."
)
_NO_DIFFERENCE = "have the same direction, so their difference is zero; use words that differ."


def angle(a: Points, b: Points) -> Float[np.ndarray, " N"]:
    """Compute the angle between directions, in radians from 0 to π.

    The arctangent form is accurate near 0 and π, where the arccosine loses half of the digits.

    Source: Kahan 2006, "How futile are mindless assessments of roundoff".

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> angle(axes[0], axes).round(4).tolist()
    [0.0, 1.5708]
    """
    _check_broadcast(a, b)
    return _angle(_directions(a), _directions(b))


def slerp(a: Points, b: Points, t: float) -> Points:
    """Interpolate from a to b along the great circle.

    The direction turns at constant speed. The length changes linearly, since decoders read it too.

    Args:
        t: from 0, which returns a exactly, to 1, which returns b exactly.

    Raises:
        QueryError: a and b are antipodal, so the shortest arc is not unique; or t is outside
            [0, 1].

    Source: Shoemake 1985; for CLIP, Ramesh et al. 2022, section 3.2.

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> slerp(axes[0], axes[1], 1 / 3).vectors.round(3).tolist()
    [[0.8659999966621399, 0.5]]
    """
    _check_broadcast(a, b)
    if not 0 <= t <= 1:
        raise QueryError(
            f"slerp takes t from 0 (the first point) to 1 (the second), not {t}. "
            "To extrapolate, use rotate."
        )
    u, v = _directions(a), _directions(b)
    between = _angle(u, v)
    _refuse(np.pi - between < _SAME_DIRECTION, a, b, _ANTIPODAL)
    lengths = (1 - t) * _lengths(a) + t * _lengths(b)
    return _result([a, b], lengths * _along_arc(u, v, between, t))


def rotate(
    start: Points, direction: Points, *, radians: float | None = None, fraction: float | None = None
) -> Points:
    """Rotate start towards direction along the great circle, keeping its length.

    A text diff rotates an image's point: `rotate(image, text_diff(before, after), fraction=0.3)`.
    The paper uses fractions from 0.25 to 0.50.

    Args:
        radians: angle to rotate by; negative rotates away. Pass this or `fraction`.
        fraction: the same as a fraction of the angle between the two; 1 reaches the direction.

    Raises:
        QueryError: not exactly one amount is given; the two are antipodal; or they have the same
            direction, so that `radians` has no great circle to follow.

    Source: Ramesh et al. 2022, section 3.3.

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> angle(axes[0], rotate(axes[0], axes[1], radians=0.25)).round(4).tolist()
    [0.25]
    """
    _check_broadcast(start, direction)
    amounts = [amount for amount in (radians, fraction) if amount is not None]
    if len(amounts) != 1 or not np.isfinite(amounts[0]):
        got = f"radians={radians} and fraction={fraction}"
        raise QueryError(f"rotate got {got}: pass exactly one of them, a finite number.")
    u, v = _directions(start), _directions(direction)
    between = _angle(u, v)
    _refuse(np.pi - between < _SAME_DIRECTION, start, direction, _ANTIPODAL)
    parts = np.full_like(between, amounts[0])
    if fraction is None:
        _refuse(between < _SAME_DIRECTION, start, direction, _NO_CIRCLE)
        parts /= between
    return _result([start, direction], _lengths(start) * _along_arc(u, v, between, parts[:, None]))


def text_diff(before: Points | None, after: Points) -> Points:
    """Compute the direction from one caption to another: unit(unit(after) - unit(before)).

    In the paper's variants `before` is a neutral caption such as "a photo", or None, which returns
    unit(after). The result is on the text side, since a difference of points is not an image:
    `rotate` an image's point towards it.

    Raises:
        QueryError: before and after have the same direction.

    Source: Ramesh et al. 2022, section 3.3.

    >>> from explorer.points import Space
    >>> words = Points(np.eye(2), Space("plane", 2, "0f"), "text", ("cat", "dog"))
    >>> text_diff(words[0], words[1])
    Points(1 on the text side of plane (2 dimensions, 0f): 'cat → dog')
    """
    if before is None:
        return Points(_directions(after), after.space, "text", after.labels)
    _check_broadcast(before, after)
    u, v = _directions(before), _directions(after)
    _refuse(_angle(u, v) < _SAME_DIRECTION, before, after, _NO_DIFFERENCE)
    return Points(_unit(v - u), after.space, "text", _format_labels("{} → {}", before, after))


def analogy(a: Points, b: Points, c: Points) -> Points:
    """Compute a - b + c on directions, as in king - man + woman.

    The result is to c as a is to b. Its length is the mean of the three lengths.

    Raises:
        QueryError: the three cancel out.

    Source: Mikolov et al. 2013, "Linguistic regularities in continuous space word representations".

    >>> from explorer.points import Space
    >>> words = Points(np.eye(3), Space("room", 3, "0f"), "text", ("king", "man", "woman"))
    >>> analogy(*words).labels
    ('king - man + woman',)
    """
    _check_broadcast(a, b, c)
    total = _directions(a) - _directions(b) + _directions(c)
    if (np.linalg.norm(total, axis=1) < _SAME_DIRECTION).any():
        raise QueryError("a - b + c is zero for these points, so it has no direction. Use others.")
    lengths = (_lengths(a) + _lengths(b) + _lengths(c)) / 3
    labels = _format_labels("{} - {} + {}", a, b, c)
    return Points(lengths * _unit(total), a.space, _side(a, b, c), labels)


def mean(points: Points, weights: ArrayLike | None = None) -> Points:
    """Compute the mean of points: one point, the Fréchet mean of their directions.

    Its direction has the smallest weighted sum of squared angles; its length is the weighted mean
    of the lengths. It is unique if the points lie within a half sphere.

    Args:
        weights: one number ≥ 0 per point, not all zero; None weights all points equally.

    Raises:
        QueryError: the mean is not unique, as for two antipodal points; or the weights are wrong.

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
    """Descend the sum of squared angles; on a sphere a step of size 1 never increases it."""
    directions, shares = directions[shares > 0], shares[shares > 0]
    total = shares @ directions
    if np.linalg.norm(total) < _SAME_DIRECTION:
        raise QueryError(_NO_MEAN)
    middle = total / np.linalg.norm(total)
    for _ in range(_MEAN_STEPS):
        angles = _angle(directions, middle[None])
        if np.pi - angles.max() < _SAME_DIRECTION:
            raise QueryError(_NO_MEAN)
        arcs = directions / np.sinc(angles / np.pi)[:, None]  # θ / sin θ
        step = shares @ arcs
        step -= (step @ middle) * middle
        if (size := float(np.linalg.norm(step))) < _MEAN_TOLERANCE:
            return middle
        middle = _unit((np.cos(size) * middle + np.sin(size) * step / size)[None])[0]
    raise QueryError(_NO_MEAN)


def _shares(points: Points, weights: ArrayLike | None) -> Float[np.ndarray, " N"]:
    """Return the weights, scaled to sum to 1."""
    given = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (len(points),):
        raise QueryError(f"{len(points)} points need one weight each, not shape {given.shape}.")
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise QueryError(f"Weights must be finite, ≥ 0 and not all 0, not {given.tolist()}.")
    scaled = given / given.max()
    return scaled / scaled.sum()


def _along_arc(
    u: Float[np.ndarray, "A D"],
    v: Float[np.ndarray, "B D"],
    between: Float[np.ndarray, " N"],
    parts: float | Float[np.ndarray, "N 1"],
) -> Float[np.ndarray, "N D"]:
    """Return the directions at `parts` of the arc from u to v.

    With sin(x)/x instead of sin(x), an arc of 0 needs no special case. At parts 0 and 1 one weight
    is 0, so the ends are exact in float32.
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


def _format_labels(pattern: str, *operands: Points) -> tuple[str, ...]:
    """Fill the operands' labels into a pattern; return "" where all are empty."""
    rows = zip(*(_labels(points, max(map(len, operands))) for points in operands), strict=True)
    return tuple(pattern.format(*row) if any(row) else "" for row in rows)


def _result(operands: list[Points], vectors: Float[np.ndarray, "N D"]) -> Points:
    """Return points with the labels of the first operand that has as many points."""
    named = next(points for points in operands if len(points) == len(vectors))
    return Points(vectors, named.space, _side(*operands), named.labels)


def _check_broadcast(*operands: Points) -> None:
    """Raise unless the operands share a space and have equal counts, or one point."""
    for points in operands[1:]:
        operands[0].space.check(points.space)
    first, *others = sorted({len(points) for points in operands} - {1}) or [1]
    if others:
        shown = " and ".join(map(str, others))
        raise QueryError(
            f"Cannot broadcast {first} points with {shown}: pass equal counts, or one."
        )


def _refuse(where: Bool[np.ndarray, " N"], a: Points, b: Points, reason: str) -> None:
    """Raise QueryError for the first pair of points where `where` is true."""
    for row in np.flatnonzero(where)[:1]:
        names = (_labels(points, len(where))[row] for points in (a, b))
        first, second = (repr(name) if name else f"point {row}" for name in names)
        raise QueryError(f"{first} and {second} {reason}")
