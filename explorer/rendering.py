"""Rendering: the frames of an edit, decoded when they are first looked at, with their recipe."""

import shlex
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from explorer.errors import QueryError, UnknownModel
from explorer.files import check_writable
from explorer.images import grid, read_recipe, save_image
from explorer.library import Library
from explorer.library.sheet import TILE, thumbnail
from explorer.models import Model
from explorer.models.shared.short_names import no_decoder
from explorer.notes import note
from explorer.places import no_such_file
from explorer.points import Points
from explorer.recipe import Recipe
from explorer.video import SUFFIXES, read_video_recipe, write_video

if TYPE_CHECKING:
    import pandas as pd

    from explorer.decoder import Decoder

STRIP_COLUMNS = 8
MAX_WHOLE_STRIP = 12  # frames that stand in one row; of more, STRIP_COLUMNS are chosen
NEIGHBOURS = 3  # images of a library under each frame
STILL_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SUPPORT_NEIGHBOURS = 10
SUPPORT_ROWS = 4000  # of a library; enough to say what is usual


class Rendering(Sequence[Image.Image]):
    """The frames of an edit: a sequence of images that are decoded when first asked for.

    Iterating decodes batch by batch and keeps what is done; a second pass, `[i]` or `save` reuse
    it. `edits` make renderings; a recipe that was read from a file makes the same one again.

    Args:
        model: with the decoder that the recipe names.
        recipe: what is decoded, and how.

    Raises:
        UnknownModel: the model has no decoder.
        SpaceMismatch: the recipe's points are of another space.

    >>> import explorer as ex
    >>> edit = ex.edits.decode(ex.load("pocket"), "a red heart", settings=ex.Settings(steps=2))
    >>> len(edit), edit[0].size, edit.points.side
    (1, (64, 64), 'image')
    """

    def __init__(self, model: Model, recipe: Recipe) -> None:
        self.model, self.recipe = model, recipe
        self._decoder = decoder_of(model)
        model.space.check(recipe.keyframes.space, "The recipe was written with other weights.")
        self._frames: list[Image.Image] = []
        self._source: Iterator[Image.Image] | None = None

    def __len__(self) -> int:
        return self.recipe.count

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image.Image]: ...
    def __getitem__(self, index: int | slice) -> Image.Image | list[Image.Image]:
        """Decode as far as needed, and return a frame or a list of frames."""
        wanted = range(len(self))[index]  # raises IndexError
        last = wanted if isinstance(wanted, int) else max(wanted, default=-1)
        self._decode_through(last)
        return (
            self._frames[wanted] if isinstance(wanted, int) else [self._frames[i] for i in wanted]
        )

    def __iter__(self) -> Iterator[Image.Image]:
        for i in range(len(self)):
            self._decode_through(i)
            yield self._frames[i]

    def _decode_through(self, last: int) -> None:
        while len(self._frames) <= last:
            if self._source is None:
                self._frames, self._source = [], self.recipe.decode(self._decoder)
            try:
                self._frames.append(next(self._source))
            except BaseException:  # what is left of a failed generator gives nothing more
                self._source = None
                raise

    @property
    def points(self) -> Points:
        """The point of each frame."""
        return self.recipe.points

    @property
    def times(self) -> Float[np.ndarray, " N"]:
        """When each frame is seen, from 0 to 1; of independent images, their order."""
        return self.recipe.frame_times

    @property
    def fps(self) -> float:
        """Frames per second in a video."""
        return self.recipe.fps

    @property
    def decoder_name(self) -> str:
        """What the decoder is called."""
        return FilePath(self.model.decoder_from or self.model.name).name

    @property
    def is_path(self) -> bool:
        """Whether the frames follow each other on a path, as in a video."""
        return self.recipe.way != "points"

    def embed(self) -> Points:
        """Encode the frames: what the encoder sees in them, one point a frame."""
        return self.model.encoder.encode_images(list(self))

    def measure(self, library: Library | None = None) -> "pd.DataFrame":
        """Measure every frame, one a row.

        Columns: `t`; `label`; `similarity_start` and `similarity_end`, the cosines of the frame's
        point with the ends of the edit (only where it has ends); `roundtrip`, the cosine of the
        point with what the encoder sees in the frame; with a library `nearest`, the items of the
        nearest images, and `support`, the share in percent of real images that lie farther from
        their neighbours than the point does (only with 30 images or more).

        Raises:
            SpaceMismatch: the library is of another space.
        """
        import pandas as pd

        points, seen = self.points, self.embed()
        columns: dict[str, Any] = {"t": self.times, "label": list(points.labels)}
        if self.recipe.ends is not None:
            start, end = (points.unit @ self.recipe.ends.unit.T).T
            columns |= {"similarity_start": start, "similarity_end": end}
        columns["roundtrip"] = np.einsum("nd,nd->n", points.unit, seen.unit)
        if library is not None:
            columns["nearest"] = [
                list(hits.items) for hits in library.search_many(points, NEIGHBOURS)
            ]
            if len(library) >= 3 * SUPPORT_NEIGHBOURS:
                columns["support"] = _support(library, points)
        return pd.DataFrame(columns)

    def save(self, file: str | PathLike[str], library: Library | None = None) -> FilePath:
        """Write the frames; the suffix selects the format, and the recipe goes into the file.

        A path becomes a video (.mp4, .webm, .webp, .gif) or its strip (.png, .jpg); independent
        images become one image, or one sheet of all.

        Args:
            library: its nearest images stand under the frames of a strip.

        Raises:
            QueryError: the suffix is another one, or the folder does not exist.
        """
        file = FilePath(file)
        check_output(file, video=self.is_path)
        values = self.recipe.to_dict()
        if library is not None:
            values["library"] = str(library.folder.resolve())
        if self.is_path and file.suffix.lower() in SUFFIXES:
            return write_video(self, file, fps=self.fps, recipe=values)
        if self.is_path:
            save_image(self.strip(library), file, values)
            if (shown := len(self._chosen())) < len(self):
                note(
                    f"{file.name} shows {shown} of the {len(self)} frames, evenly chosen; a video "
                    f"holds all of them: -o {shlex.quote(file.stem + '.mp4')}"
                )
        else:
            save_image(self[0] if len(self) == 1 else grid(list(self)), file, values)
        return file

    def strip(self, library: Library | None = None, columns: int | None = None) -> Image.Image:
        """Lay frames in a row, evenly chosen, and under each its nearest images of a library.

        Args:
            columns: at most this number of frames; None takes all up to 12, and 8 of more.
        """
        chosen = self._chosen(columns)
        points = self.points[chosen]
        tiles = [self[int(i)] for i in chosen]
        labels = [f"t = {self.times[i]:.2f}" for i in chosen]
        if library is not None:
            found = library.search_many(points, NEIGHBOURS)
            for rank in range(min(NEIGHBOURS, len(library))):
                for hits in found:
                    row, name = int(hits.rows[rank]), hits.items[rank]
                    tiles.append(thumbnail(library.open_image, row, name))
                    labels.append(hits.caption(rank))
        return grid(tiles, columns=len(chosen), labels=labels, size=TILE)

    def _chosen(self, columns: int | None = None) -> Int[np.ndarray, " C"]:
        """Return which frames stand on a strip."""
        few = len(self) if len(self) <= MAX_WHOLE_STRIP else STRIP_COLUMNS
        return np.unique(np.linspace(0, len(self) - 1, columns or few).round().astype(int))

    def _repr_html_(self) -> str:
        from explorer import html

        chosen = self._chosen(STRIP_COLUMNS)
        labels = self.points.labels
        cells = [html.image(self[int(i)], labels[i]) for i in chosen]
        note = f"{len(self)} frames, {self.recipe.settings}"
        return html.card(self.recipe.title, cells, note)


def _support(library: Library, points: Points) -> Float[np.ndarray, " N"]:
    from explorer.support import Support

    rows = np.random.default_rng(0).permutation(len(library))[:SUPPORT_ROWS]
    support = Support.fit(library.points(np.sort(rows)), neighbours=SUPPORT_NEIGHBOURS)
    return support.score(points)["nearest percentile"].to_numpy()


def save_comparison(renderings: Sequence[Rendering], file: str | PathLike[str]) -> FilePath:
    """Write one sheet: a row for every decoder, with its name and the points' labels."""
    file = FilePath(file)
    check_output(file, video=False)
    tiles = [frame for each in renderings for frame in each]
    labels = [
        f"{each.decoder_name}: {label}" for each in renderings for label in each.points.labels
    ]
    values = {"sheet": [each.recipe.to_dict() for each in renderings]}
    size = max(TILE, *(frame.width for frame in tiles))
    save_image(grid(tiles, columns=len(renderings[0]), labels=labels, size=size), file, values)
    return file


def decoder_of(model: Model) -> "Decoder":
    """Return the model's decoder.

    Raises:
        UnknownModel: it has none.
    """
    if model.decoder is None:
        raise UnknownModel(
            f"{model.name} has no decoder. Use a model with one, as --model pocket, or give one "
            "that was trained for it: --decoder FOLDER (see `unclip train decoder`). "
            f"{no_decoder(model.name)}".rstrip()
        )
    return model.decoder


def check_output(file: FilePath, *, video: bool) -> None:
    """Refuse a wrong suffix or folder before anything is computed.

    Raises:
        QueryError: the message gives what would be right.
        DiskError: nothing can be written there.
    """
    known = tuple(dict.fromkeys((*SUFFIXES, *STILL_SUFFIXES))) if video else STILL_SUFFIXES
    if file.suffix.lower() not in known:
        raise QueryError(f"{file.name!r} cannot be written here; use one of {', '.join(known)}.")
    if not file.parent.is_dir():
        raise QueryError(f"The folder {file.parent} does not exist. Create it first.")
    check_writable(file)


def recipe_values(file: str | PathLike[str]) -> dict[str, Any]:
    """Read the JSON values of the recipe in an image or video.

    Raises:
        QueryError: there is no such file, or no recipe in it.
    """
    file = FilePath(file)
    if not file.is_file():
        raise QueryError(no_such_file(file))
    suffix = file.suffix.lower()
    values = None if suffix in SUFFIXES and suffix not in STILL_SUFFIXES else read_recipe(file)
    if values is None and suffix in SUFFIXES:
        values = read_video_recipe(file)
    if values is None:
        raise QueryError(
            f"{file} carries no recipe. Only images and videos written by unclip do, as long as "
            "no other program has rewritten them."
        )
    return values
