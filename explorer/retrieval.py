"""Retrieval: the real images nearest to a path, where no decoder shows what lies on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Self, overload

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from explorer import geometry, html
from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.images import fitted, grid, save_image
from explorer.library import Library
from explorer.library.sheet import TILE, thumbnail
from explorer.path import Path
from explorer.points import Points
from explorer.query import Query
from explorer.rendering import check_output
from explorer.video import SUFFIXES, write_video

if TYPE_CHECKING:
    import pandas as pd

COUNT = 12  # images along a path
FPS = 2.0  # each image of its own is looked at for half a second
FRAME_SIDE = 384  # pixels of a video's square frame
MAX_COUNT = 256  # the assignment compares as many places with up to COUNT² images

What = Query | Points | str


@dataclass(frozen=True, eq=False)
class Retrieval(Sequence[Image.Image]):
    """Real images of a library along a path: each once, in the order in which the path passes them.

    A `Rendering` without a decoder: a sequence of images that can be saved as a video or a strip.

    Args:
        library: of which they are.
        rows: of the library, one an image.
        scores: cosine of each image with its place on the path.
        times: of the places, from 0 to 1.
        points: the places.
        title: what the path is called.
        fps: images per second in a video.

    >>> import explorer as ex
    >>> library = ex.sample_library()
    >>> walk = ex.Retrieval.interpolate(library, ["a cat", "a red heart"], count=5)
    >>> len(walk), len(set(walk.rows)), round(float(walk.times[-1]), 2)
    (5, 5, 1.0)
    """

    library: Library
    rows: Int[np.ndarray, " N"]
    scores: Float[np.ndarray, " N"]
    times: Float[np.ndarray, " N"]
    points: Points
    title: str = ""
    fps: float = FPS

    @classmethod
    def along(
        cls,
        library: Library,
        path: Path | Points,
        count: int = COUNT,
        *,
        title: str = "",
        fps: float = FPS,
    ) -> Self:
        """Find the images along a path.

        The two ends take the images nearest to them. Of all ways to give every place between
        them another image, it takes the one whose cosines have the largest sum (an assignment).

        Args:
            path: a Path, of which `count` places are sampled, or the places themselves.
            count: the number of images, at most; fewer if the library has fewer.

        Raises:
            QueryError: `count` is below 2 or above 256, or the library is empty.
            SpaceMismatch: the path is of another space than the library.

        Source: Crouse 2016, the assignment of scipy.optimize.linear_sum_assignment.
        """
        places = len(path) if isinstance(path, Points) else count
        count = min(places, len(library))
        if not len(library):
            raise QueryError("The library is empty, so no image lies along the path: add images.")
        if not 2 <= places <= MAX_COUNT:
            raise QueryError(f"A path takes 2 to {MAX_COUNT} images, not {places}.")
        chosen = np.linspace(0, places - 1, count).round().astype(int)
        points = path[chosen] if isinstance(path, Points) else path.sample(max(2, count))[:count]
        times = chosen / (places - 1) if isinstance(path, Points) else np.linspace(0, 1, count)
        rows, scores = _assigned(library, points)
        return cls(library, rows, scores, times, points, title, fps)

    @classmethod
    def text_diff(
        cls,
        library: Library,
        start: What,
        *,
        after: str,
        before: str | None = None,
        fraction: float = 0.5,
        count: int = COUNT,
        fps: float = FPS,
        encoder: Encoder | None = None,
    ) -> Self:
        """Find the images along a text diff; see `edits.text_diff`.

        Args:
            encoder: None takes that of the library's own model.

        Raises:
            QueryError, ImageError: the input cannot be read.
        """
        encoder = encoder or library.encoder
        (begin,) = _read(encoder, start, 1)
        texts = encoder.encode_text([before or "", after])
        direction = geometry.text_diff(texts[0] if before else None, texts[1]).as_image()
        path = Path.rotate(begin, direction, fraction=fraction)
        title = f"{begin.labels[0]}: {before or ''} → {after}"
        return cls.along(library, path, count, title=title, fps=fps)

    @classmethod
    def interpolate(
        cls,
        library: Library,
        keyframes: Sequence[What] | Points,
        *,
        count: int = COUNT,
        fps: float = FPS,
        encoder: Encoder | None = None,
    ) -> Self:
        """Find the images on the great circles between keyframes; see `edits.interpolate`.

        Args:
            encoder: None takes that of the library's own model.

        Raises:
            QueryError, ImageError: the input cannot be read.
        """
        encoder = encoder or library.encoder
        points = Points.concat([each for what in keyframes for each in _read(encoder, what)])
        title = " → ".join(points.labels)
        return cls.along(library, Path.through(points), count, title=title, fps=fps)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image.Image]: ...
    def __getitem__(self, index: int | slice) -> Image.Image | list[Image.Image]:
        """Read an image of the library, or a tile that says why there is none."""
        wanted = range(len(self))[index]
        if isinstance(wanted, int):
            return thumbnail(self.library.open_image, int(self.rows[wanted]), self.items[wanted])
        return [self[i] for i in wanted]

    @cached_property
    def items(self) -> tuple[str, ...]:
        """The names of the images."""
        return tuple(map(str, self.library.rows["item"].iloc[self.rows]))

    def to_pandas(self) -> "pd.DataFrame":
        """Give one row an image: t, score, row, then all columns of the library."""
        from explorer.library.reserved import with_given_names

        table = with_given_names(self.library.rows.iloc[self.rows]).reset_index(drop=True)
        table.insert(0, "t", self.times)
        table.insert(1, "score", self.scores)
        table.insert(2, "row", self.rows)
        return table

    def save(self, file: str | PathLike[str]) -> FilePath:
        """Write the images: a video (.mp4, .webm, .gif, .webp), or a strip (.png, .jpg).

        The file carries no recipe: nothing was decoded.

        Raises:
            QueryError: the suffix is another one, or the folder does not exist.
        """
        file = FilePath(file)
        check_output(file, video=True)
        if file.suffix.lower() in SUFFIXES:
            return write_video(self.frames(), file, fps=self.fps)
        save_image(self.strip(), file)
        return file

    def frames(self) -> Iterator[Image.Image]:
        """Yield the images as the frames of a video: each in the middle of a square."""
        return map(_framed, self)

    def strip(self) -> Image.Image:
        """Lay the images in a row, with t and score under each."""
        labels = [f"t = {t:.2f}, {s:.2f}" for t, s in zip(self.times, self.scores, strict=True)]
        return grid(list(self), columns=len(self), labels=labels, size=TILE)

    def _repr_html_(self) -> str:
        cells = [html.image(self[i], f"t = {self.times[i]:.2f}") for i in range(len(self))]
        return html.card(self.title, cells, f"{len(self)} real images of {self.library.folder}")


def _read(encoder: Encoder, what: What, exactly: int | None = None) -> Points:
    """Return what was given as image-side points: words too, since nothing is decoded."""
    if isinstance(what, Points):
        points = what
    else:
        query = what if isinstance(what, Query) else Query.parse(what)
        points = query.points(encoder)
    if exactly is not None and len(points) != exactly:
        raise QueryError(f"This path starts at {exactly} point, not {len(points)}. Choose one.")
    return points.as_image()


def _assigned(
    library: Library, points: Points
) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Return another row for every point, with its cosine; between the ends, the best sum.

    The best N of each of N points suffice: N - 1 others take at most N - 1 of them.
    """
    from scipy.optimize import linear_sum_assignment

    hits = library.search_many(points, len(points))
    rows = np.unique(np.concatenate([each.rows for each in hits]))
    cosines = points.unit @ library.points(rows).unit.T
    worth = cosines.astype(np.float64)
    first = worth[0].argmax()
    worth[0, first] += 2 * len(points)  # more than all others together could win
    if len(points) > 1:
        worth[-1, np.where(np.arange(len(rows)) == first, -2, worth[-1]).argmax()] += 2 * len(
            points
        )
    at, chosen = linear_sum_assignment(worth, maximize=True)
    return rows[chosen], cosines[at, chosen]


def _framed(image: Image.Image) -> Image.Image:
    """Return an image in the middle of a square frame: a video has one size."""
    frame = Image.new("RGB", (FRAME_SIDE, FRAME_SIDE), "white")
    inner = fitted(image.convert("RGB"), FRAME_SIDE)
    frame.paste(inner, ((FRAME_SIDE - inner.width) // 2, (FRAME_SIDE - inner.height) // 2))
    return frame
