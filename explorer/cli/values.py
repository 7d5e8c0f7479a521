"""What is typed for an option, read as what is made of it."""

import json
from typing import TYPE_CHECKING, Any

from explorer.errors import QueryError

if TYPE_CHECKING:
    from explorer.models import Model


def value_of(name: str, text: str, model: "Model") -> Any:
    """Read an option's value: an image, a point, a size, words, or a number as JSON writes it.

    Raises:
        ExplorerError: an image, point or size cannot be read.
    """
    from explorer.images import open_image
    from explorer.query import Query

    if name == "hint":
        return open_image(text)
    if name == "negative":
        return Query.parse(text).decodable(model.encoder, model.prior)
    if name == "image_size":
        return tuple(numbers(text, 2, "WIDTHxHEIGHT", sign="x"))
    if name in ("prompt", "negative_prompt"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def numbers(text: str, count: int, form: str, sign: str = ",") -> list[int]:
    """Read `count` whole numbers.

    Raises:
        QueryError: it is of another form.
    """
    parts = text.split(sign)
    if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
        raise QueryError(f"{text!r} is not of the form {form}, in whole numbers.")
    return [int(part) for part in parts]


def timing(frames: int | None, fps: float | None, count: int, pace: float) -> dict[str, Any]:
    """Return frames and frames per second, by default `count` and `pace`.

    >>> timing(None, 0, 24, 12)
    {'frames': 24, 'fps': 0}
    """
    return {
        "frames": count if frames is None else frames,
        "fps": pace if fps is None else fps,
    }
