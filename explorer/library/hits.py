"""Hits: what a search found; which rows it may find; and the index that it asks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from explorer import html
from explorer.errors import ImageError, LibraryDamaged, QueryError
from explorer.index import Index
from explorer.library.contents import Vectors
from explorer.library.segments import OWN_COLUMNS
from explorer.library.sheet import write_sheet
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 4096  # vectors


@dataclass(frozen=True, eq=False)
class Hits:
    """The K nearest images of one query, best first; K may be 0.

    `scores` are cosines, `rows` count the library's rows from 0, `table` has their columns,
    `points` their image-side points (None if K is 0), `open_image` opens the image of a row,
    and `note` says what the user should know.

    Iterating gives a dict a hit: rank (from 1), score, item, row, and the user's columns.
    """

    scores: Float[np.ndarray, " K"]
    rows: Int[np.ndarray, " K"]
    items: tuple[str, ...]
    table: "pd.DataFrame"
    points: Points | None
    open_image: Callable[[int], Image.Image]
    note: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        columns = [name for name in self.table.columns if name not in OWN_COLUMNS]
        records = self.table[columns].to_dict("records")
        for position, record in enumerate(records):
            yield {
                "rank": position + 1,
                "score": float(self.scores[position]),
                "item": self.items[position],
                "row": int(self.rows[position]),
                **{str(name): None if _missing(v) else v for name, v in record.items()},
            }

    def _repr_html_(self) -> str:
        return html.card(
            f"{len(self)} hits", images_of(self.open_image, self.rows, self.captions), self.note
        )

    @property
    def captions(self) -> list[str]:
        """A line for each: its score, and its caption if it has one, else its file."""
        named = self.table["caption"] if "caption" in self.table.columns else self.items
        return [f"{score:.3f} {name}" for score, name in zip(self.scores, named, strict=True)]

    def to_pandas(self) -> "pd.DataFrame":
        """Give one row a hit: rank, score, row, then all columns of the library."""
        table = self.table.copy()
        for name in [n for n in ("rank", "score", "row") if n in table.columns]:
            table = table.rename(columns={name: f"given_{name}"})
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
        write_sheet(self.open_image, self.rows, labels, file)
        return FilePath(file)

    def caption(self, rank: int) -> str:
        """Return what a hit is called: its caption if it has one, else its file's name."""
        row = self.table.iloc[rank]
        has_caption = "caption" in self.table.columns
        return str(row["caption"]) if has_caption else FilePath(self.items[rank]).name


def images_of(
    open_image: Callable[[int], Image.Image],
    rows: Int[np.ndarray, " K"],
    captions: Sequence[str],
) -> Iterator[str]:
    """Cells of a card in Jupyter, for the first rows."""
    for row, caption in zip(rows[: html.SHOWN], captions, strict=False):
        try:
            yield html.image(open_image(int(row)), caption)
        except ImageError as error:
            yield html.image(None, str(error))


def matching(
    table: "pd.DataFrame", where: Mapping[str, Any], exclude: Sequence[int] | np.ndarray | None
) -> Bool[np.ndarray, " N"] | None:
    """Say which rows have one of the wanted values in every column; None means all.

    Values are compared as they are, and as text where their types differ. None finds empty cells.

    Raises:
        QueryError: there is no such column; the message lists those there are.
    """
    if not where and exclude is None:
        return None
    allowed = np.ones(len(table), dtype=bool)
    for name, wanted in where.items():
        if name not in table.columns:
            known = ", ".join(map(str, table.columns))
            raise QueryError(f"The library has no column {name!r}; its columns are {known}.")
        several = isinstance(wanted, list | tuple | set | frozenset | np.ndarray)
        allowed &= _among(table[name], list(wanted) if several else [wanted])
    if exclude is not None:
        allowed[np.asarray(exclude, dtype=np.int64)] = False
    return allowed


def _among(column: "pd.Series", wanted: list[Any]) -> Bool[np.ndarray, " N"]:
    empty = column.isna().to_numpy()
    texts = {_as_text(value) for value in wanted if not _missing(value)}
    found = column.map(_as_text).isin(texts).to_numpy(dtype=bool) & ~empty
    return found | (empty if any(_missing(value) for value in wanted) else False)


def _as_text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.lower() if text in ("True", "False") else text


def _missing(value: Any) -> bool:
    return value is None or bool(isinstance(value, float) and np.isnan(value))


def load_index(file: FilePath, key: str, vectors: Vectors) -> tuple[Index, str]:
    """Load the cached index, or make an exact one; and say what the user should know."""
    try:
        return Index.load(file, key), ""
    except FileNotFoundError:
        note = ""
    except (LibraryDamaged, OSError) as error:
        note = f"The index is damaged, so the search is exact, over all vectors: {error}"
    return Index(_units(vectors), vectors.dimension), note


def _units(vectors: Vectors) -> Iterator[Float[np.ndarray, "N D"]]:
    for start in range(0, len(vectors), _CHUNK):
        part = vectors[start : start + _CHUNK]
        norms = np.linalg.norm(part.astype(np.float64), axis=1, keepdims=True)
        if not np.all(np.isfinite(norms) & (norms > 0)):
            raise LibraryDamaged(
                f"The library holds vectors without a direction between rows {start} and "
                f"{start + len(part)}. Run verify and repair."
            )
        yield (part / norms).astype(np.float32)
