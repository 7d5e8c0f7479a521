"""A recipe's JSON values, checked field by field before anything is made from them.

Files come from others. What a field may hold is written here once, and how much work a recipe may
ask for.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

LIMIT = 100_000
"""Frames × steps × megapixels that a recipe may ask for, unless a person raises it."""
FRAMES = 10_000  # at that limit; frames are kept in memory until they are written
MOST_TEXT, MOST_ROWS = 10_000, 100_000

_Rule = tuple[Callable[[Any], bool], str]


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_TEXT and "\0" not in value


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9 and math.isfinite(value)


def _whole(value: Any) -> bool:
    return type(value) is int and 1 <= value < 1 << 53


def _numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) <= MOST_ROWS and all(map(_number, value))


def _packed(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("data"), str)
        and isinstance(value.get("shape"), list)
        and 1 <= len(value["shape"]) <= 4
        and all(_whole(n) and n < 1 << 31 for n in value["shape"])
    )


def _points(value: Any) -> bool:
    if not isinstance(value, dict) or not _packed(value.get("points")):
        return False
    space, labels = value.get("space"), value.get("labels", ())
    if not isinstance(space, list) or len(space) != 3:
        return False
    named = _text(space[0]) and _whole(space[1]) and _text(space[2])
    texts = isinstance(labels, list | tuple) and all(map(_text, labels))
    return named and texts and value.get("side", "image") == "image"


def _image(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(value.get(n), str) for n in _IMAGES)


def _option(value: Any) -> bool:
    if isinstance(value, dict):
        pair = value.get("pair")
        numbers = isinstance(pair, list | tuple) and len(pair) == 2 and all(map(_option, pair))
        return _points(value) or _image(value) or (numbers and len(value) == 1)
    if isinstance(value, str):
        return len(value) <= MOST_TEXT
    return (
        value is None
        or isinstance(value, int)
        or (isinstance(value, float) and math.isfinite(value))
    )


def _options(value: Any) -> bool:
    return isinstance(value, dict) and all(_option(each) for each in value.values())


def _seed(value: Any) -> bool:
    many = value if isinstance(value, list) else [value]
    return 0 < len(many) <= MOST_ROWS and all(type(s) is int and 0 <= s < 1 << 32 for s in many)


def _none_or(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


_IMAGES = ("image", "picture")
FIELDS: dict[str, _Rule] = {
    "model": (lambda v: _text(v) and v != "", "the name of a model"),
    "decoder": (_text, "a fingerprint"),
    "decoder_from": (_text, "a name or a folder"),
    "way": (lambda v: isinstance(v, str) and v in ("points", "rotate", "through"), "a known way"),
    "count": (_whole, "a whole number from 1 up"),
    "radians": (_number, "a number"),
    "fps": (lambda v: _number(v) and 0 < v <= 1000, "a number above 0 and up to 1,000"),
    "title": (_text, "text"),
    "settings": (lambda v: isinstance(v, dict), "an object"),
    "image": (_none_or(_image), "an image"),
    "mask": (_none_or(_image), "an image"),
    "times": (lambda v: _numbers(v) and all(0 <= t <= 1 for t in v), "numbers from 0 to 1"),
    "keyframes": (_points, "points of the image side"),
    "ends": (_none_or(_points), "points"),
    "noise": (_none_or(_packed), "an array"),
}
SETTINGS: dict[str, _Rule] = {
    "steps": (lambda v: _whole(v) and v <= 1000, "a whole number from 1 to 1,000"),
    "guidance": (_number, "a number"),
    "eta": (lambda v: _number(v) and 0 <= v <= 1, "a number from 0 to 1"),
    "solver": (_text, "the name of a solver"),
    "strength": (lambda v: _number(v) and 0 < v <= 1, "a number above 0 and up to 1"),
    "noise": (_none_or(_text), "a choice of noise"),
    "seed": (_seed, "a whole number, or a list of them"),
    "options": (_options, "an object of values"),
}


def check_fields(values: Mapping[str, Any], limit: float = LIMIT) -> None:
    """Check the values of a recipe of today's format.

    Raises:
        ValueError: a field is missing, holds something else, or asks for too much work.
    """
    _check(values, FIELDS, "")
    settings = values["settings"]
    _check(settings, SETTINGS, "settings.")
    keyframes, count = values["keyframes"]["points"]["shape"][0], values["count"]
    if values["way"] == "points" and count != keyframes:
        raise ValueError(f"count is {count} for {keyframes} points")
    if values["way"] != "points" and keyframes < 2:
        raise ValueError("a path needs two keyframes")
    if len(values["times"]) not in (0, count):
        raise ValueError(f"times are {len(values['times'])} for {count} frames")
    if values["mask"] is not None and values["image"] is None:
        raise ValueError("it has a mask, and no image")
    _check_work(count, settings, limit)


def _check_work(count: int, settings: Mapping[str, Any], limit: float) -> None:
    size = settings["options"].get("image_size")
    pair = size.get("pair") if isinstance(size, dict) else None
    if pair and not _numbers(pair):
        raise ValueError(f"settings.options.image_size is {pair!r:.60}, not two numbers of pixels")
    megapixels = abs(math.prod(pair)) / 1e6 if pair else 0.25
    work = count * settings["steps"] * megapixels
    if not work <= limit or count > FRAMES * limit / LIMIT:
        needed = math.ceil(max(work, count * LIMIT / FRAMES))
        raise ValueError(
            f"it asks for {count:,} frames of {settings['steps']:,} steps and {megapixels:.3g} "
            f"megapixels, which is more than is decoded unasked; to allow it: --limit {needed}"
        )


def _check(values: Mapping[str, Any], rules: Mapping[str, _Rule], where: str) -> None:
    for name, (fits, right) in rules.items():
        if name not in values:
            raise ValueError(f"it has no {where}{name}")
        if not fits(values[name]):
            shown = repr(values[name])[:60]
            raise ValueError(f"{where}{name} is {shown}, not {right}")
