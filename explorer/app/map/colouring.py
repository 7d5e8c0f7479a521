"""Colours of the map: by a column, by crowds, or by how well words match; and which tells most."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from jaxtyping import Float

from explorer.app import state
from explorer.app.map.layout import crowds, layout
from explorer.app.map.scatter import Colours
from explorer.library import Hits, Library
from explorer.projection import Projection
from explorer.regions.crowds import looked_at
from explorer.regions.kept import MapCrowds

if TYPE_CHECKING:
    import pandas as pd

MAX_COLOURS = 20  # colours that can be told apart; rarer values share one
MAX_COMPARED_ROWS = 4000  # points that are compared with their neighbour on the map
MIN_TELLING = 0.3  # below it, crowds are shown first, and no column
MIN_DATES = 0.9  # of the values of a column of dates
OUTLIERS = (0.01, 0.99)  # quantiles between which numbers are spread over the colours
CLUSTERS = "Clusters"
NO_COLUMN = "One colour"


def choices() -> list[str]:
    """Return what the map can be coloured by, the most telling first.

    A column tells much if neighbours on the map have the same value, beyond chance: Cohen's kappa
    of categories, Spearman's correlation of numbers.
    """
    library = state.library()
    scores = _telling(library, layout(), library.cache_key)
    known = sorted(scores, key=lambda name: -scores[name])
    best = [name for name in known if scores[name] >= MIN_TELLING]
    return [*best, CLUSTERS, *[name for name in known if name not in best], NO_COLUMN]


def colours(name: str) -> Colours | None:
    """Return one colour a point, for one of `choices`."""
    library = state.library()
    if name == CLUSTERS:
        return _clusters(layout(), crowds(), library.cache_key)
    return None if name == NO_COLUMN else _of_column(library, name, library.cache_key)


def heat(words: str, hits: Hits) -> Colours | None:
    """Return the scores of all rows that match words; the others have no colour. None: none do."""
    if not len(hits.rows):
        return None
    scores = np.full(len(state.library()), np.nan)
    scores[hits.rows] = hits.scores
    return shades(f"Cosine with “{words}”", scores)


@st.cache_resource(max_entries=8, show_spinner=False)
def _of_column(_library: Library, column: str, key: str) -> Colours:  # noqa: ARG001
    return by_values(column, _library.rows[column])


def by_values(title: str, series: "pd.Series[Any]") -> Colours:
    """Return colours of a column by its kind: categories, numbers, scores from 0 to 1, or dates."""
    numbers = _numbers(series)
    if numbers is not None and not _is_few(numbers):
        return shades(title, numbers)
    if numbers is None and (days := _days(series)) is not None:
        return _by_days(title, days)
    texts = series.astype(str).where(series.notna(), None)
    names = texts.value_counts().index[: MAX_COLOURS - 1].tolist()
    known: dict[Any, int] = {name: code for code, name in enumerate(names)}
    codes = texts.map(known).fillna(len(names)).to_numpy(np.uint8)
    others = (codes == len(names)).any()
    return Colours(title, codes, (*map(str, names), *[None] * bool(others)))


def shades(title: str, numbers: Float[np.ndarray, " N"]) -> Colours:
    """Return numbers as colours, NaN where there is none; of outliers, those of the ends."""
    finite = numbers[np.isfinite(numbers)]
    low, high = np.quantile(finite, OUTLIERS) if len(finite) else (0.0, 1.0)
    if len(finite) and finite.min() >= 0 and finite.max() <= 1 and high - low > 0.5:
        low, high = 0.0, 1.0  # scores and probabilities
    codes = np.clip((numbers - low) / ((high - low) or 1), 0, 1).astype(np.float32)
    return Colours(title, codes, None, (f"{low:.3g}", f"{high:.3g}"))


def _by_days(title: str, days: Float[np.ndarray, " N"]) -> Colours:
    low, high = np.nanmin(days), np.nanmax(days)
    codes = ((days - low) / ((high - low) or 1)).astype(np.float32)
    first, last = (str(np.datetime64(int(day), "D")) for day in (low, high))
    return Colours(title, codes, None, (first, last))


def _numbers(series: "pd.Series[Any]") -> Float[np.ndarray, " N"] | None:
    from pandas.api import types

    if not types.is_numeric_dtype(series) or types.is_bool_dtype(series):
        return None
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _is_few(numbers: Float[np.ndarray, " N"]) -> bool:
    """Say whether these are numbers of groups: whole, and few."""
    finite = np.unique(numbers[np.isfinite(numbers)])
    return len(finite) <= MAX_COLOURS and bool((finite == np.floor(finite)).all())


def _days(series: "pd.Series[Any]") -> Float[np.ndarray, " N"] | None:
    """Return days since 1970 of a column of dates (ISO 8601), NaN where there is none."""
    import pandas as pd

    given = int(series.notna().sum())
    texts = series.astype(str)
    if not given or texts[series.notna()].head(50).str.match(r"\d{4}-\d\d").mean() < MIN_DATES:
        return None
    read = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True)
    if read.notna().sum() < MIN_DATES * given:
        return None
    days = read.dt.tz_localize(None).to_numpy("datetime64[D]").astype(np.float64)
    return np.where(read.notna(), days, np.nan)


@st.cache_resource(max_entries=2, show_spinner=False)
def _telling(_library: Library, _map: Projection, key: str) -> dict[str, float]:  # noqa: ARG001
    from scipy.spatial import KDTree

    if len(_library) < 3:
        return {}
    rows = np.arange(len(_library))
    if len(rows) > MAX_COMPARED_ROWS:
        rows = np.random.default_rng(0).choice(rows, MAX_COMPARED_ROWS, replace=False)
    near = KDTree(_map.xy).query(_map.xy[rows], k=[2])[1][:, 0]
    varied = [name for name in _library.columns if _library.rows[name].nunique() > 1]
    found = {name: by_values(name, _library.rows[name]) for name in varied}
    return {name: agreement(each, rows, near) for name, each in found.items()}


def agreement(
    colours: Colours, rows: Sequence[int] | np.ndarray, others: Sequence[int] | np.ndarray
) -> float:
    """Return how far the colours of rows and of their neighbours agree, beyond chance: up to 1.

    Source: Cohen 1960 for names, Spearman 1904 for values. Where most rows have a rare value, 0.

    >>> halves = Colours("half", np.array([0, 0, 1, 1], np.uint8), ("a", "b"))
    >>> agreement(halves, [0, 1, 2, 3], [1, 0, 3, 2])
    1.0
    """
    own, other = colours.codes[rows], colours.codes[others]
    if colours.names is None:
        from scipy.stats import rankdata

        both = np.isfinite(own) & np.isfinite(other)
        if both.sum() < 3 or not np.ptp(own[both]) or not np.ptp(other[both]):
            return 0.0
        return float(np.corrcoef(rankdata(own[both]), rankdata(other[both]))[0, 1])
    count = len(colours.names)
    shares = np.bincount(own, minlength=count) / len(own)
    if colours.names[-1] is None and shares[-1] > 0.5:
        return 0.0
    chance = float(shares @ (np.bincount(other, minlength=count) / len(other)))
    return float(((own == other).mean() - chance) / max(1 - chance, 1e-9))


@st.cache_resource(max_entries=2, show_spinner=False)
def _clusters(_map: Projection, _crowds: MapCrowds, key: str) -> Colours | None:  # noqa: ARG001
    """Return the largest crowds, by their words where words tell them; None if there are none."""
    from scipy.spatial import KDTree

    members = _crowds.members
    if len(members) < 2:
        return None
    words = {int(region.rows[0]): region.words for region in _crowds.regions if not region.level}
    shown = members[: MAX_COLOURS - 1]
    codes = np.full(len(_map.xy), len(shown), np.uint8)
    for code, rows in enumerate(shown):
        codes[rows] = code
    seen = looked_at(len(_map.xy))
    if len(seen) < len(codes):  # the others are what the nearest that was looked at is
        codes = codes[seen][KDTree(_map.xy[seen]).query(_map.xy)[1]]
    names = [words.get(int(rows[0]), f"crowd {code + 1}") for code, rows in enumerate(shown)]
    others = (codes == len(shown)).any()
    return Colours(CLUSTERS, codes, (*names, *[None] * bool(others)))
