"""Made: decoded frames, their measures, and how they are written: videos, strips, sheets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from PIL import Image

from explorer.errors import QueryError
from explorer.images import grid, read_recipe, save_image
from explorer.library import Library
from explorer.library.sheet import NEIGHBOURS, TILE, caption, neighbours, thumbnail
from explorer.models import Model
from explorer.points import Points
from explorer.recipe import Recipe
from explorer.video import SUFFIXES, read_video_recipe, write_video

COLUMNS = 8
STILLS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class Made:
    """Frames with the points that they were decoded from."""

    recipe: Recipe
    model: Model
    frames: list[Image.Image]

    @property
    def name(self) -> str:
        """What the decoder is called."""
        return FilePath(self.model.decoder_from or self.model.name).name

    def roundtrips(self) -> list[dict[str, Any]]:
        """Per frame: its point's label, and the cosine of the point with what the frame shows."""
        points = self.recipe.points
        seen = self.model.encoder.encode_images(self.frames)
        cosines = np.einsum("nd,nd->n", points.unit, seen.unit)
        return [
            {"label": label, "decoder": self.name, "roundtrip": round(float(cosine), 4)}
            for label, cosine in zip(points.labels, cosines, strict=True)
        ]

    def measures(
        self, before: Points, after: Points, library: Library | None
    ) -> list[dict[str, Any]]:
        """Per frame: t, cosine with before and after, cosine of the round trip, neighbours."""
        points = self.recipe.points
        seen = self.model.encoder.encode_images(self.frames)
        found = neighbours(library, points) if library is not None else [None] * len(points)
        rows = zip(
            self.recipe.moments,
            points.unit @ before.unit[0],
            points.unit @ after.unit[0],
            np.einsum("nd,nd->n", points.unit, seen.unit),
            found,
            strict=True,
        )
        names = ("t", "score_from", "score_to", "roundtrip")
        return [
            dict(zip(names, (round(float(x), 4) for x in row[:4]), strict=True))
            | {"neighbours": list(row[4].items) if row[4] is not None else []}
            for row in rows
        ]

    def write(self, file: FilePath, library: Library | None = None) -> FilePath:
        """Write a video, or as a still the one image, a sheet, or a strip with neighbours."""
        values = self.recipe.to_dict()
        if library is not None:
            values["library"] = str(library.folder.resolve())
        if file.suffix.lower() in SUFFIXES and self.recipe.way != "points":
            return write_video(self.frames, file, fps=self.recipe.fps, recipe=values)
        if self.recipe.way == "points":
            one = len(self.frames) == 1
            save_image(self.frames[0] if one else grid(self.frames), file, values)
        else:
            save_image(self.strip(library), file, values)
        return file

    def strip(self, library: Library | None) -> Image.Image:
        """Eight frames in a row, and under each its neighbours in the library."""
        chosen = np.unique(np.linspace(0, len(self.frames) - 1, COLUMNS).round().astype(int))
        points = self.recipe.points[chosen]
        tiles = [self.frames[i] for i in chosen]
        labels = [f"t = {self.recipe.moments[i]:.2f}" for i in chosen]
        if library is not None:
            found = neighbours(library, points)
            for rank in range(min(NEIGHBOURS, len(library))):
                for hits in found:
                    tiles.append(thumbnail(library, int(hits.rows[rank])))
                    labels.append(caption(hits, rank))
        return grid(tiles, columns=len(chosen), labels=labels, size=TILE)


def write_compared(made: Sequence[Made], file: FilePath) -> None:
    """Write one sheet: a row for every decoder, with its name and the points' labels."""
    tiles = [frame for each in made for frame in each.frames]
    labels = [f"{each.name}: {label}" for each in made for label in each.recipe.points.labels]
    values = {"sheet": [each.recipe.to_dict() for each in made]}
    size = max(TILE, *(frame.width for frame in tiles))
    save_image(grid(tiles, columns=len(made[0].frames), labels=labels, size=size), file, values)


def check_output(file: FilePath, *, video: bool) -> None:
    """Refuse a wrong suffix or folder before anything is computed.

    Raises:
        QueryError: what would be right stands in the message.
    """
    known = (*SUFFIXES, *STILLS) if video else (*STILLS, ".webp")
    if file.suffix.lower() not in known:
        raise QueryError(f"{file.name!r} cannot be written here; use one of {', '.join(known)}.")
    if not file.parent.is_dir():
        raise QueryError(f"The folder {file.parent} does not exist. Make it first.")


def recipe_of(file: FilePath) -> dict[str, Any]:
    """What an image or video says that it was made from.

    Raises:
        QueryError: it says nothing.
    """
    if not file.is_file():
        raise QueryError(f"There is no file {file}.")
    moving = file.suffix.lower() in SUFFIXES
    values = read_video_recipe(file) if moving else read_recipe(file)
    if values is None and moving and file.suffix.lower() == ".webp":
        values = read_recipe(file)
    if values is None:
        raise QueryError(
            f"{file} carries no recipe. Only images and videos written by unclip do, as long as "
            "no other program has rewritten them."
        )
    return values
