"""Colours of a map's points: by categories, numbers, scores or dates; and which column tells most.

Every map takes its colours from here: the dashboard's, the notebook's, and the page and the image
that `unclip map` writes. It knows tables and places, no library.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import pandas as pd

MAX_COLOURS = 20  # colours that can be told apart; rarer values share one
MAX_COMPARED_ROWS = 4000  # points that are compared with their neighbour on the map
MIN_TELLING = 0.3  # below it, no column comes before crowds
MIN_DATES = 0.9  # of the values of a column of dates
OUTLIERS = (0.01, 0.99)  # quantiles between which numbers are spread over the colours


@dataclass(frozen=True, eq=False)
class Colours:
    """One colour a point.

    Args:
        title: what they tell, above the legend.
        codes: per point the number of its name, uint8, or its value, float64; NaN: none.
        names: what the numbers mean, at most 255, None among them for all others; None for values.
        ends: what the legend writes at the first and the last colour of values.
        scale: values that have the first and the last colour; so have those beyond.
        dates: whether values are days since 1970.
    """

    title: str
    codes: np.ndarray
    names: tuple[str | None, ...] | None = None
    ends: tuple[str, str] = ("", "")
    scale: tuple[float, float] = (0.0, 1.0)
    dates: bool = False

    def legend(self) -> dict[str, Any]:
        """Return all but the codes, as JSON that the component reads."""
        return {"title": self.title, "names": self.names, "ends": self.ends,
                "scale": self.scale, "dates": self.dates}  # fmt: skip

    def content(self) -> bytes:
        """Return the codes as the component reads them: uint8, or float64 of values."""
        kind = np.float64 if self.names is None else np.uint8
        return np.ascontiguousarray(self.codes, kind).tobytes()


def by_values(title: str, series: "pd.Series[Any]") -> Colours:
    """Return colours of a column by its kind: categories, numbers, scores from 0 to 1, or dates.

    Few whole numbers are categories, as those of clusters are.
    """
    import pandas as pd

    numbers = numbers_of(series)
    if numbers is not None and not _is_few(numbers):
        return shades(title, numbers)
    if numbers is None and (days := _days(series)) is not None:
        return _by_days(title, days)
    if numbers is None:
        texts = series.astype(str)
    else:  # they are floats where some are missing
        texts = pd.Series([f"{value:.0f}" for value in numbers], series.index)
    texts = texts.where(series.notna(), None)
    names = texts.value_counts().index[: MAX_COLOURS - 1].tolist()
    known: dict[Any, int] = {name: code for code, name in enumerate(names)}
    codes = texts.map(known).fillna(len(names)).to_numpy(np.uint8)
    others = (codes == len(names)).any()
    return Colours(title, codes, (*map(str, names), *[None] * bool(others)))


def shades(title: str, numbers: Float[np.ndarray, " N"]) -> Colours:
    """Return numbers as colours, NaN where there is none; of outliers, those of the ends."""
    values = np.where(np.isfinite(numbers), numbers, np.nan).astype(np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Colours(title, values)
    least, most = float(finite.min()), float(finite.max())
    low = float(np.quantile(finite, OUTLIERS[0], method="lower"))
    high = float(np.quantile(finite, OUTLIERS[1], method="higher"))
    if least >= 0 and most <= 1 and high - low > 0.5:
        low, high = 0.0, 1.0  # scores and probabilities
    first, last = written(low, high - low), written(high, high - low)
    ends = ("≤ " * (least < low) + first, "≥ " * (most > high) + last)
    return Colours(title, values, None, ends, (low, high))


def written(value: float, span: float) -> str:
    """Return a value in digits that tell about a hundred parts of a span apart.

    >>> written(1984, 70), written(0.12345, 1), written(1234.5678, 3), written(3e-9, 1e-8)
    ('1984', '0.12', '1234.57', '3e-09')
    """
    decimals = 2 - math.floor(math.log10(span)) if span > 0 else 6
    if decimals > 6 or abs(value) >= 1e15:
        return f"{value:.3g}"
    text = f"{value:.{max(0, decimals)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _by_days(title: str, days: Float[np.ndarray, " N"]) -> Colours:
    low, high = float(np.nanmin(days)), float(np.nanmax(days))
    first, last = (str(np.datetime64(int(day), "D")) for day in (low, high))
    return Colours(title, days, None, (first, last), (low, high), dates=True)


def numbers_of(series: "pd.Series[Any]") -> Float[np.ndarray, " N"] | None:
    """Return a column of numbers, NaN where there is none; of any dtype, None if it has others."""
    import pandas as pd
    from pandas.api import types

    if types.is_object_dtype(series):  # as whole numbers are kept where some are missing
        kinds = set(map(type, series.dropna()))
        if not kinds or not all(issubclass(k, Real) and not issubclass(k, bool) for k in kinds):
            return None
        return pd.to_numeric(series).to_numpy(dtype=np.float64, na_value=np.nan)
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


def telling(
    rows: "pd.DataFrame", columns: Iterable[str], xy: Float[np.ndarray, "N 2"]
) -> dict[str, float]:
    """Return how much each column that varies tells: whether neighbours on the map agree in it."""
    from scipy.spatial import KDTree

    if len(rows) < 3:
        return {}
    some = np.arange(len(rows))
    if len(some) > MAX_COMPARED_ROWS:
        some = np.random.default_rng(0).choice(some, MAX_COMPARED_ROWS, replace=False)
    near = KDTree(xy).query(xy[some], k=[2])[1][:, 0]
    varied = [name for name in columns if rows[name].nunique() > 1]
    return {name: agreement(by_values(name, rows[name]), some, near) for name in varied}


def most_telling(
    rows: "pd.DataFrame", columns: Iterable[str], xy: Float[np.ndarray, "N 2"]
) -> str | None:
    """Return the column by which a map is coloured first; None if none tells enough."""
    scores = telling(rows, columns, xy)
    best = max(scores, key=lambda name: scores[name], default="")
    return best if scores.get(best, 0) >= MIN_TELLING else None


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
