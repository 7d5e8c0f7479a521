"""Hits: what a search found; which rows it may find; and the index that it asks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from explorer import html
from explorer.errors import DiskError, ImageError, LibraryDamaged, QueryError
from explorer.index import Index
from explorer.library.captions import is_blank, label_of
from explorer.library.contents import Vectors
from explorer.library.reserved import given_names, with_given_names
from explorer.library.segments import OWN_COLUMNS
from explorer.library.sheet import tile, write_sheet
from explorer.notes import note
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 4096  # vectors
MAX_NAMED = 8  # values of a column in a message
MAX_COMPARED = 20_000  # values of a column that a misspelt one is compared with


@dataclass(frozen=True, eq=False)
class Hits:
    """The K nearest images of one query, best first; K may be 0.

    `scores` are cosines, `rows` count the library's rows from 0, `table` has their columns,
    `points` their image-side points (None if K is 0), and `open_image` opens the image of a row.
    `matching` counts the images of the library that
    reach the lowest score which was asked for, shown or not; None if none was. `missing` says
    which files are no longer there.

    Iterating gives a dict a hit: rank (from 1), score, item, row, and the user's columns. One of
    those that is called like a column of ours, such as `score`, becomes `given_score`.
    """

    scores: Float[np.ndarray, " K"]
    rows: Int[np.ndarray, " K"]
    items: tuple[str, ...]
    table: "pd.DataFrame"
    points: Points | None
    open_image: Callable[[int], Image.Image]
    matching: int | None = None
    find_missing: Callable[[Int[np.ndarray, " K"]], Bool[np.ndarray, " K"]] | None = None

    @cached_property
    def missing(self) -> Bool[np.ndarray, " K"]:
        """Which of the images' files are no longer there, looked up when it is first asked."""
        if self.find_missing is None:
            return np.zeros(len(self), dtype=bool)
        return self.find_missing(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        columns = [name for name in self.table.columns if name not in OWN_COLUMNS]
        names = given_names(columns)
        for position, record in enumerate(self.table[columns].to_dict("records")):
            users = {names[str(name)]: value for name, value in record.items()}
            yield {
                "rank": position + 1,
                "score": float(self.scores[position]),
                "item": self.items[position],
                "row": int(self.rows[position]),
                **{name: None if is_blank(value) else value for name, value in users.items()},
            }

    def _repr_html_(self) -> str:
        return html.card(
            f"{len(self)} hits",
            images_of(self.open_image, self.rows, self.items, self.captions),
        )

    @property
    def verdict(self) -> str:
        """How many images match, in words; "" if no lowest score was asked for."""
        if self.matching is None:
            return ""
        if not self.matching:
            return "nothing here matches"
        return (
            "about 1 image matches"
            if self.matching == 1
            else f"about {self.matching:,} images match"
        )

    @property
    def captions(self) -> list[str]:
        """A line for each: its score, and its caption if it has one, else its file."""
        captions = self.table["caption"] if "caption" in self.table.columns else self.items
        named = [label_of(c, i) for c, i in zip(captions, self.items, strict=True)]
        return [f"{score:.3f} {name}" for score, name in zip(self.scores, named, strict=True)]

    def to_pandas(self) -> "pd.DataFrame":
        """Give one row a hit: rank, score, row, then all columns of the library."""
        table = with_given_names(self.table)
        table.insert(0, "rank", np.arange(1, len(self) + 1))
        table.insert(1, "score", self.scores)
        table.insert(2, "row", self.rows)
        return table

    def save(self, file: str | PathLike[str]) -> FilePath:
        """Write one sheet of the images, with score and caption under each.

        Raises:
            QueryError: there are no hits.
        """
        labels = [f"{self.scores[i]:.2f} {self.caption(i)}" for i in range(len(self))]
        write_sheet(self.open_image, self.rows, self.items, labels, file)
        return FilePath(file)

    def caption(self, rank: int) -> str:
        """Return what a hit is called: its caption if it has one, else its file's name."""
        caption = self.table.iloc[rank].get("caption")
        return label_of(caption, FilePath(self.items[rank]).name)


def images_of(
    open_image: Callable[[int], Image.Image],
    rows: Int[np.ndarray, " K"],
    names: Sequence[str],
    captions: Sequence[str],
) -> Iterator[str]:
    """Cells of a card in Jupyter, for the first rows."""
    for row, name, caption in zip(rows[: html.SHOWN], names, captions, strict=False):
        try:
            yield html.image(open_image(int(row)), caption)
        except ImageError as error:
            yield html.image(tile(name, error), str(error))


def matching(
    table: "pd.DataFrame", where: Mapping[str, Any], exclude: Sequence[int] | np.ndarray | None
) -> Bool[np.ndarray, " N"] | None:
    """Say which rows have one of the wanted values in every column; None means all.

    Values are compared as they are, and as text where their types differ. None finds empty cells.

    Raises:
        QueryError: there is no such column, or no row has such a value in it; the message names
            the columns that there are, or the nearest values.
    """
    if not where and exclude is None:
        return None
    allowed = np.ones(len(table), dtype=bool)
    for name, wanted in where.items():
        if name not in table.columns:
            known = ", ".join(map(str, table.columns))
            raise QueryError(f"The library has no column {name!r}; its columns are {known}.")
        several = isinstance(wanted, list | tuple | set | frozenset | np.ndarray)
        values = list(wanted) if several else [wanted]
        found = _among(table[name], values)
        if not found.any() and len(table):
            raise QueryError(_no_such_value(table[name], name, values))
        allowed &= found
    if exclude is not None:
        allowed[np.asarray(exclude, dtype=np.int64)] = False
    return allowed


def _among(column: "pd.Series", wanted: list[Any]) -> Bool[np.ndarray, " N"]:
    empty = column.isna().to_numpy()
    texts = {_as_text(value) for value in wanted if not _missing(value)}
    found = column.map(_as_text).isin(texts).to_numpy(dtype=bool) & ~empty
    return found | (empty if any(_missing(value) for value in wanted) else False)


def _no_such_value(column: "pd.Series", name: str, values: list[Any]) -> str:
    known = list(dict.fromkeys(map(_as_text, column.dropna())))
    wanted = [_as_text(value) for value in values if not _missing(value)]
    by_lower = {text.lower(): text for text in known[:MAX_COMPARED]}
    near = [n for w in wanted for n in get_close_matches(w.lower(), by_lower, 3, 0.5)]
    shown = [by_lower[n] for n in dict.fromkeys(near)] or known[:MAX_NAMED]
    what = (
        "the nearest" if near else "it has" if len(known) <= MAX_NAMED else "it has, among others"
    )
    values_text = " or ".join(map(repr, wanted)) or "no value"
    found = ", ".join(repr(text[:60]) for text in shown) or "no values"
    return f"No image has {values_text} in the column {name!r}; {what}: {found}."


def _as_text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.lower() if text in ("True", "False") else text


def _missing(value: Any) -> bool:
    return value is None or bool(isinstance(value, float) and np.isnan(value))


def load_index(file: FilePath, key: str, vectors: Vectors) -> Index:
    """Load the cached index, or make an exact one; a damaged cache is noted and built again."""
    damaged = False
    try:
        return Index.load(file, key)
    except FileNotFoundError:
        pass
    except (LibraryDamaged, OSError):
        note(f"The index cache {file} was damaged, so it was built again; the search is exact.")
        damaged = True
    index = Index(units(vectors), vectors.dimension)
    if damaged:
        with suppress(DiskError):  # a cache: what the disk refuses is built again
            index.save(file, key)
    return index


def units(vectors: Vectors) -> Iterator[Float[np.ndarray, "N D"]]:
    """Yield all vectors at length 1, part by part.

    Raises:
        LibraryDamaged: one has no direction.
    """
    for start in range(0, len(vectors), _CHUNK):
        part = vectors[start : start + _CHUNK]
        norms = np.linalg.norm(part.astype(np.float64), axis=1, keepdims=True)
        if not np.all(np.isfinite(norms) & (norms > 0)):
            raise LibraryDamaged(
                f"The library holds vectors without a direction between rows {start} and "
                f"{start + len(part)}. To list all damage: unclip verify LIBRARY --read-data"
            )
        yield (part / norms).astype(np.float32)
