"""Where a text diff leads: to the difference of two captions, or through the prior."""

from typing import Any

import numpy as np

from explorer import geometry
from explorer.errors import QueryError, UnknownModel
from explorer.models import Model
from explorer.points import Points

KEPT = 0.5  # of what the image shows beyond its caption; judged on 96 pairs of emoji
SAMPLES = 4  # of the prior for each caption; their mean is what they have in common

Said = tuple[str | None, str]
"""The caption of what an image shows, if it is known, and of what it is to show."""


def goes_through_prior(model: Model, before: str | None, asked: bool | None) -> bool:
    """Return whether a text diff goes through the prior: as asked, else as suits the model.

    Args:
        before: the caption of what the image shows, which the prior needs.
        asked: None leaves it to the model.
    """
    if asked is not None:
        return asked
    return model.through_prior and model.prior is not None and bool(before)


def towards_text(
    model: Model, point: Points, said: Said, fraction: float | None
) -> tuple[Points, Points, dict[str, Any]]:
    """Return keyframes, ends and way of a rotation towards the difference of two captions.

    Args:
        point: one, of an image.
        fraction: of the angle; None is 0.5.

    Source: Ramesh et al. 2022, section 3.3.
    """
    texts, ends = _read(model, point, said)
    direction = geometry.text_diff(texts[0] if said[0] else None, texts[1])
    whole = float(geometry.angle(point, direction)[0])
    radians = (0.5 if fraction is None else fraction) * whole
    points = Points.concat([point, direction.as_image()])
    return points, ends, {"way": "rotate", "radians": radians}


def towards_prior(
    model: Model, point: Points, said: Said, fraction: float | None
) -> tuple[Points, Points, dict[str, Any]]:
    """Return keyframes, ends and way to the point that `swapped` returns.

    Args:
        point: one, of an image.
        fraction: of the way; None is all of it.

    Raises:
        UnknownModel, QueryError: as `swapped`.
    """
    aim = swapped(model, point, *said)
    if fraction is not None:
        aim = geometry.slerp(point, aim, fraction)
    _, ends = _read(model, point, said)
    return Points.concat([point, aim]), ends, {"way": "through"}


def _read(model: Model, point: Points, said: Said) -> tuple[Points, Points]:
    """Return both captions' points, and the ends that frames are measured against."""
    texts = model.encoder.encode_text([said[0] or "", said[1]])
    start = texts[0].as_image() if said[0] else point
    return texts, Points.concat([start, texts[1].as_image()])


def swapped(model: Model, point: Points, before: str | None, after: str) -> Points:
    """Return the point of an image whose caption was `before` and is to be `after`.

    The prior says where images of either caption lie. The result is the mean of those of `after`,
    with half of what the image has beyond the mean of those of `before`. So it stays among
    points of images, where a point turned towards a difference of texts leaves them.

    Args:
        point: one, of an image.

    Returns:
        One image-side point of the same length.

    Raises:
        UnknownModel: the model has no prior.
        QueryError: `before` is missing.

    Source: the arithmetic, Mikolov et al. 2013; on the prior's side, as here: measured by
        `python -m pocket.edited`.
    """
    if model.prior is None:
        raise UnknownModel(
            f"{model.name} has no prior, so a text diff cannot go through one. Leave that out, or "
            "name a prior of the same space (--prior NAME)."
        )
    if not before:
        raise QueryError(
            "A text diff through the prior needs the caption of what the image shows now "
            "(before=…, --from …)."
        )
    drawn = [
        model.prior.sample([before, after], seed=seed, candidates=1) for seed in range(SAMPLES)
    ]
    old, new = np.mean([points.vectors for points in drawn], axis=0)
    vector = new + KEPT * (point.vectors[0] - old)
    vector *= np.linalg.norm(point.vectors[0]) / np.linalg.norm(vector)
    return Points(vector[None].astype(np.float32), model.space, "image", (after,))
