"""Dataset: what the questions are asked of: a library, the model of its Space, and how much of it.

Every draw is seeded, so that a report can be made again. What is not there raises `Absent`.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Int
from PIL import Image

from explorer.decoder import Decoder
from explorer.errors import ExplorerError, QueryError
from explorer.library import Library
from explorer.models import Model, load
from explorer.models.shared.on_word import named_by
from explorer.models.trust import check_named
from explorer.points import Points
from explorer.prior import Prior
from explorer.sampler import batches
from explorer.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


class Absent(ExplorerError):
    """A question cannot be asked: what it needs is not there; the message says how to supply it."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A library and the model of its Space.

    Args:
        caption: the column whose words describe the images; None if there is none.
        count: how many images a slow measure may look at.
        seed: of every draw.
        other: a library of the same images in another Space, to compare with.

    Raises:
        SpaceMismatch: the library was made with another model.
        QueryError: the library is empty, has no such column, or the count is not positive.
    """

    library: Library
    model: Model
    caption: str | None = None
    count: int = 200
    seed: int = 0
    other: Library | None = None

    def __post_init__(self) -> None:
        made_with = f"The library {self.library.folder} was made with {self.library.model}."
        self.model.space.check(self.library.space, made_with)
        if not len(self.library):
            raise QueryError(f"The library {self.library.folder} is empty: add images first.")
        if self.caption is not None and self.caption not in self.library.columns:
            known = ", ".join(self.library.columns) or "it has none"
            raise QueryError(f"The library has no column {self.caption!r}; its columns: {known}.")
        if self.count < 1 or self.seed < 0:
            raise QueryError("At least one image must be looked at, and a seed is 0 or more.")

    @classmethod
    def open(
        cls,
        folder: str | PathLike[str],
        *,
        model: str | None = None,
        decoder: str | PathLike[str] | None = None,
        prior: str | PathLike[str] | None = None,
        caption: str | None = None,
        count: int = 200,
        seed: int = 0,
        other: str | PathLike[str] | None = None,
    ) -> Self:
        """Open a library and load the model that it was made with.

        Args:
            model: None takes the library's own.
            decoder, prior: stand in for the model's own; see `load`.
            caption: None takes the column "caption", if there is one.
            other: the folder of a second library.
        """
        library = Library.open(folder)
        by = f"The library {folder}"
        with nullcontext() if model else named_by(by, library.space):
            name = model or check_named(library.model, by)
            loaded = load(name, decoder=decoder, prior=prior)
        if caption is None and "caption" in library.columns:
            caption = "caption"
        second = None if other is None else Library.open(other)
        return cls(library, loaded, caption, count, seed, second)

    def draw(self, rows: Int[np.ndarray, " N"], n: int | None = None) -> Int[np.ndarray, " K"]:
        """Draw at most n of these rows (None: `count`) without replacement, in ascending order."""
        n = self.count if n is None else n
        if len(rows) <= n:
            return np.sort(rows)
        return np.sort(np.random.default_rng(self.seed).choice(rows, n, replace=False))

    def points(self, n: int | None = None) -> tuple[Points, Int[np.ndarray, " K"]]:
        """Draw at most n image points of the library (None: `count`), with their row numbers."""
        rows = self.draw(np.arange(len(self.library)), n)
        return self.library.points(rows), rows

    def images(self, rows: Int[np.ndarray, " K"]) -> list[Image.Image]:
        """Open the images of these rows, upright RGB.

        Raises:
            ImageError: one is not there any more.
        """
        return [self.library.open_image(int(row)) for row in rows]

    def names(self, rows: Int[np.ndarray, " K"]) -> list[str]:
        """Name these rows for people: by their captions, or else by their files."""
        items = self.library.rows["item"]
        return [self.captions.get(int(row), items[int(row)]) for row in rows]

    def seen(
        self, points: Points, *, keep: int = 8, **options: Any
    ) -> tuple[Points, list[Image.Image]]:
        """Decode points and encode the images: what the encoder sees in them.

        Also gives the first `keep` images; more are never in memory than one batch.

        Args:
            options: of `Decoder.decode`; without them, images differ only because points do.

        Raises:
            Absent: the model has no decoder.
        """
        images = self.require_decoder("Decoding").decode(points, Settings(**options))
        kept: list[Image.Image] = []
        parts = []
        for rows in batches(len(points), self.model.encoder.batch_size):
            batch = list(islice(images, rows.stop - rows.start))
            parts.append(self.model.encoder.encode_images(batch))
            kept += batch[: keep - len(kept)]
        return Points.concat(parts).with_labels(points.labels), kept

    @cached_property
    def captions(self) -> "pd.Series[str]":
        """The captions that are not empty, by row number; none without a caption column."""
        import pandas as pd

        if self.caption is None:
            return pd.Series([], index=pd.Index([], dtype=np.int64), dtype=str)
        column = self.library.rows[self.caption]  # its index counts the rows from 0
        told = column.dropna().astype(str).str.strip()
        return told[told != ""]

    def require_captions(self, question: str) -> "pd.Series[str]":
        """Give `captions`, or say what is missing.

        Raises:
            Absent: there are none.
        """
        if len(self.captions):
            return self.captions
        known = ", ".join(self.library.columns) or "none"
        raise Absent(
            f"{question} needs words for the images, and the library has no captions. Name one "
            f"of its columns with --caption (there are: {known}), or index with --columns FILE."
        )

    def require_decoder(self, question: str) -> Decoder:
        """Give the decoder, or say what is missing.

        Raises:
            Absent: the model has none.
        """
        if self.model.decoder is not None:
            return self.model.decoder
        raise Absent(
            f"{question} needs a decoder, and {self.model.name} has none. Name a folder that "
            "`unclip train decoder` made, or a model of this Space, with --decoder."
        )

    def require_prior(self, question: str) -> Prior:
        """Give the prior, or say what is missing.

        Raises:
            Absent: the model has none.
        """
        if self.model.prior is not None:
            return self.model.prior
        raise Absent(
            f"{question} needs a prior, and {self.model.name} has none. Name a folder that "
            "`unclip train prior` made, or a model of this Space, with --prior."
        )

    def require_other(self, question: str) -> Library:
        """Give the second library, or say what is missing.

        Raises:
            Absent: there is none.
        """
        if self.other is not None:
            return self.other
        raise Absent(
            f"{question} needs a second library of the same images. Index them with another "
            "model (`unclip index --model NAME --library DIR`), and name it with --other."
        )
