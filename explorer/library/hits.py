"""Hits: what a search found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from explorer import html
from explorer.errors import ImageError
from explorer.library.captions import is_blank, label_of
from explorer.library.few_rows import HIDDEN, RowSource, frame_of
from explorer.library.presence import missing_rows
from explorer.library.reserved import given_names, with_given_names
from explorer.library.segments import OWN_COLUMNS
from explorer.library.sheet import tile, write_sheet
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Hits:
    """The K nearest images of one query, best first; K may be 0.

    `scores` are cosines, `rows` count the library's rows from 0, and `open_image` opens the image
    of a row. `items` name the images, `table` has their columns, and `points` are their image-side
    points (None if K is 0): read when they are first asked for.
    `matching` counts the images of the library that
    reach the lowest score which was asked for, shown or not; None if none was. `missing` says
    which files are no longer there.

    Iterating gives a dict a hit: rank (from 1), score, item, row, and the user's columns. One of
    those that is called like a column of ours, such as `score`, becomes `given_score`.
    """

    scores: Float[np.ndarray, " K"]
    rows: Int[np.ndarray, " K"]
    source: RowSource
    read_table: Callable[[], Any]
    read_points: Callable[[], Points]
    open_image: Callable[[int], Image.Image]
    matching: int | None = None

    @cached_property
    def items(self) -> tuple[str, ...]:
        """What the images are called in the library."""
        return tuple(self.source.cells("item", self.rows))

    @cached_property
    def table(self) -> "pd.DataFrame":
        """All columns of the images found."""
        return frame_of(self.arrow, self.read_table())

    @cached_property
    def arrow(self) -> Any:
        """All columns of the images found, as an Arrow table, which needs no pandas."""
        return self.source.few(self.rows).drop_columns([HIDDEN])

    @cached_property
    def points(self) -> Points | None:
        """The points of the images found; None if there are none."""
        return self.read_points() if len(self.rows) else None

    @cached_property
    def missing(self) -> Bool[np.ndarray, " K"]:
        """Which of the images' files are no longer there, looked up when it is first asked."""
        return missing_rows(self.source, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        columns = [name for name in self.arrow.column_names if name not in OWN_COLUMNS]
        names = given_names(columns)
        for position, record in enumerate(self.arrow.select(columns).to_pylist()):
            users = {names[name]: value for name, value in record.items()}
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
        named = [label_of(c, i) for c, i in zip(self._captions, self.items, strict=True)]
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
        return label_of(self._captions[rank], FilePath(self.items[rank]).name)

    @property
    def _captions(self) -> list[Any]:
        has_captions = "caption" in self.arrow.column_names
        return self.arrow.column("caption").to_pylist() if has_captions else [None] * len(self)


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
