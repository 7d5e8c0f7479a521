"""Captions: what an image is called, and which cells of a table are empty."""

from typing import Any

import numpy as np

_EMPTY_WORDS = frozenset(("nan", "none", "null", "nat", "<na>"))  # what other tools write for it


def is_blank(value: Any) -> bool:
    """Return whether a cell of a table is empty: None, NaN, NaT, NA, or nothing but white space.

    >>> [is_blank(value) for value in (None, float("nan"), " ", 0, "nan bread")]
    [True, True, True, False, False]
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    if isinstance(value, str | bytes | list | tuple | dict | np.ndarray):
        return False
    return str(value) in ("nan", "NaT", "<NA>")  # of numpy and pandas


def label_of(caption: Any, name: str) -> str:
    """Return what an image is called: its caption if it has one, else its file's name.

    >>> label_of(float("nan"), "cat.png"), label_of("a cat", "cat.png")
    ('cat.png', 'a cat')
    """
    text = "" if is_blank(caption) else str(caption)
    return name if text.strip().lower() in _EMPTY_WORDS or not text else text
