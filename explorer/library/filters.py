"""Filters: which rows have wanted values in their columns.

A column is read once: its distinct values as text, and for every row the place of its value among
them. A mask that was asked for is kept, since a person searches several times within one filter.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from explorer.errors import QueryError

MAX_NAMED = 8  # values of a column in a message
MAX_COMPARED = 20_000  # values of a column that a misspelt one is compared with
MAX_MASKS = 16  # that are kept, of a byte a row
EMPTY = -1  # the place of a cell without a value


class Filters:
    """The columns of a library's rows, as far as they have been asked for.

    Args:
        table: the living rows, an Arrow table.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self._columns: dict[str, tuple[list[str | None], Int[np.ndarray, " N"]]] = {}
        self._masks: dict[Any, Bool[np.ndarray, " N"]] = {}

    def matching(
        self, where: Mapping[str, Any], exclude: Sequence[int] | np.ndarray | None
    ) -> Bool[np.ndarray, " N"] | None:
        """Say which rows have one of the wanted values in every column; None means all.

        Values are compared as they are, and as text where their types differ. None finds empty
        cells. The mask must not be written to.

        Raises:
            QueryError: there is no such column, or no row has such a value in it; the message
                names the columns that there are, or the nearest values.
        """
        if not where and exclude is None:
            return None
        allowed = self._mask(where)
        if exclude is not None:
            allowed = allowed.copy()
            allowed[np.asarray(exclude, dtype=np.int64)] = False
        return allowed

    def _mask(self, where: Mapping[str, Any]) -> Bool[np.ndarray, " N"]:
        wanted = {name: listed(values) for name, values in where.items()}
        key = tuple((name, tuple(map(_key, values))) for name, values in wanted.items())
        if key not in self._masks:
            allowed = np.ones(self._table.num_rows, dtype=bool)
            for name, values in wanted.items():
                allowed &= self._among(name, values)
            allowed.setflags(write=False)
            if len(self._masks) >= MAX_MASKS:
                self._masks.pop(next(iter(self._masks)))
            self._masks[key] = allowed
        return self._masks[key]

    def _among(self, name: str, wanted: list[Any]) -> Bool[np.ndarray, " N"]:
        if name not in self._table.column_names:
            known = ", ".join(map(str, self._table.column_names))
            raise QueryError(f"The library has no column {name!r}; its columns are {known}.")
        if name not in self._columns:
            self._columns[name] = _coded(self._table.column(name))
        texts, places = self._columns[name]
        asked = {as_text(value) for value in wanted if not is_missing(value)}
        right = [place for place, text in enumerate(texts) if text in asked]
        if any(is_missing(value) for value in wanted):
            right.append(EMPTY)
        found = places == right[0] if len(right) == 1 else np.isin(places, right)
        if not found.any() and len(places):
            raise QueryError(no_such_value(texts, name, wanted))
        return np.asarray(found)


def listed(wanted: Any) -> list[Any]:
    """Return the wanted values of a column; one counts as a list of one."""
    several = isinstance(wanted, list | tuple | set | frozenset | np.ndarray)
    return list(wanted) if several else [wanted]


def _key(value: Any) -> str | None:
    return None if is_missing(value) else as_text(value)


def _coded(column: Any) -> tuple[list[str | None], Int[np.ndarray, " N"]]:
    """Return the distinct values of a column as text, and the place of every row's among them."""
    import pandas as pd
    import pyarrow as pa

    try:
        coded = column.combine_chunks().dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.unify_dictionaries().combine_chunks()
    except pa.ArrowNotImplementedError:  # lists and structures
        places, values = pd.factorize(column.to_pandas().map(as_text, na_action="ignore"))
        return list(values), places
    places = coded.indices.fill_null(EMPTY).to_numpy(zero_copy_only=False)
    values = coded.dictionary.to_pandas(integer_object_nulls=True)
    missing = np.flatnonzero(values.isna().to_numpy())  # NaN is a value to Arrow
    if len(missing):
        places = np.where(np.isin(places, missing), EMPTY, places)
    return [None if is_missing(value) else as_text(value) for value in values], places


def no_such_value(texts: list[str | None], name: str, values: list[Any]) -> str:
    """Return the sentence for values that a column does not have: the nearest that it has."""
    known = list(dict.fromkeys(text for text in texts if text is not None))
    wanted = [as_text(value) for value in values if not is_missing(value)]
    by_lower = {text.lower(): text for text in known[:MAX_COMPARED]}
    near = [n for w in wanted for n in get_close_matches(w.lower(), by_lower, 3, 0.5)]
    shown = [by_lower[n] for n in dict.fromkeys(near)] or known[:MAX_NAMED]
    what = (
        "the nearest" if near else "it has" if len(known) <= MAX_NAMED else "it has, among others"
    )
    values_text = " or ".join(map(repr, wanted)) or "no value"
    found = ", ".join(repr(text[:60]) for text in shown) or "no values"
    return f"No image has {values_text} in the column {name!r}; {what}: {found}."


def as_text(value: Any) -> str:
    """Return a value as values are compared: whole numbers without a point, truth in lower case."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.lower() if text in ("True", "False") else text


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty."""
    return value is None or bool(isinstance(value, float) and np.isnan(value))
