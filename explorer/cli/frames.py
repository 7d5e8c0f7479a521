"""From what was asked for to frames on disk: stops, recipes, measures of every frame, strips.

Every command that decodes makes a Recipe first and then does what `replay` does with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from PIL import Image

from explorer.decoder import Decoder
from explorer.errors import ExplorerError, QueryError, UnknownModel
from explorer.geometry import angle, text_diff
from explorer.images import grid, open_image, read_recipe, save_image
from explorer.library import Hits, Library
from explorer.models import Model
from explorer.noise import Noise
from explorer.points import Points
from explorer.query import Query
from explorer.recipe import Recipe, storable
from explorer.video import SUFFIXES, read_video_recipe, write_video

NEIGHBOURS = 3
COLUMNS = 8
FINE = 3  # times the default steps where noise is inverted
TILE = 128
STILLS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class Stop:
    """An image-side point, and the picture that it came from, if it came from just one."""

    point: Points
    picture: Image.Image | None

    @classmethod
    def read(cls, model: Model, query: str | Sequence[str], seed: int) -> "Stop":
        """Read a picture, words (through the prior) or an algebra of both."""
        parsed = Query.parse(query)
        point = parsed.decodable(model.encoder, model.prior, seed)
        alone = len(parsed.terms) == 1 and parsed.terms[0].is_picture
        picture = open_image(parsed.terms[0].text) if alone else None
        return cls(point.with_labels([str(parsed)]), picture)


def decoder_of(model: Model) -> Decoder:
    """The model's decoder.

    Raises:
        UnknownModel: it has none.
    """
    if model.decoder is None:
        raise UnknownModel(f"{model.name} has no decoder. Use a model with one: --model pocket.")
    return model.decoder


@dataclass(frozen=True, eq=False)
class Made:
    """Frames with the points that they were decoded from."""

    recipe: Recipe
    model: Model
    frames: list[Image.Image]

    def measures(
        self, before: Points, after: Points, library: Library | None
    ) -> list[dict[str, Any]]:
        """Per frame: t, cosine with before and after, cosine of the round trip, neighbours."""
        points = self.recipe.points
        seen = self.model.encoder.encode_images(self.frames)
        found = neighbours(library, points) if library is not None else [None] * len(points)
        rows = zip(
            np.linspace(0, 1, len(points)),
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
        """Write a video, or as a still the one picture, a sheet, or a strip with neighbours."""
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
        labels = [f"t = {i / max(1, len(self.frames) - 1):.2f}" for i in chosen]
        if library is not None:
            found = neighbours(library, points)
            for rank in range(min(NEIGHBOURS, len(library))):
                for hits in found:
                    tiles.append(thumbnail(library, int(hits.rows[rank])))
                    labels.append(caption(hits, rank))
        return grid(tiles, columns=len(chosen), labels=labels, size=TILE)


def neighbours(library: Library, points: Points) -> list[Hits]:
    """The nearest pictures of each point."""
    return library.search_many(points, NEIGHBOURS)


def thumbnail(library: Library, row: int) -> Image.Image:
    """The picture of a row; grey if its file is not there any more."""
    try:
        return library.open_picture(row)
    except ExplorerError:
        return Image.new("RGB", (TILE, TILE), "lightgrey")


def caption(hits: Hits, rank: int) -> str:
    """What a hit is called: its caption if it has one, else its file."""
    row = hits.table.iloc[rank]
    return (
        str(row["caption"]) if "caption" in hits.table.columns else FilePath(hits.items[rank]).name
    )


def make(recipe: Recipe, model: Model) -> Iterator[Image.Image]:
    """Decode with a progress bar."""
    from explorer.cli.doors import progress

    yield from progress(recipe.frames(decoder_of(model)), recipe.count, "decoding")


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
    """What a picture or video says that it was made from.

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
            f"{file} carries no recipe. Only pictures and videos written by unclip do, as long as "
            "no other program has rewritten them."
        )
    return values


def plan_diff(
    model: Model,
    start: Stop,
    before: str | None,
    after: str,
    *,
    fraction: float = 0.5,
    inverted: bool = True,
    **given: Any,
) -> tuple[Recipe, tuple[Points, Points]]:
    """A text diff of one stop, and the two ends that its frames are compared with."""
    texts = model.encoder.encode_text([before or "", after])
    direction = text_diff(texts[0] if before else None, texts[1])
    noise = noise_of(model, [start], given.get("steps")) if inverted else None
    recipe = plan(
        model,
        Points.concat([start.point, direction.as_image()]),
        noise,
        way="rotate",
        radians=fraction * float(angle(start.point, direction)[0]),
        title=f"{start.point.labels[0]}: {before or ''} → {after}",
        **given,
    )
    return recipe, (texts[0] if before else start.point, texts[1])


def plan_walk(
    model: Model, stops: Sequence[Stop], *, inverted: bool = True, **given: Any
) -> Recipe:
    """An interpolation through the stops."""
    noise = noise_of(model, stops, given.get("steps")) if inverted else None
    points = Points.concat([stop.point for stop in stops])
    return plan(model, points, noise, way="through", title=" → ".join(points.labels), **given)


def plan_pictures(
    model: Model, stops: Sequence[Stop], n: int, *, eta: float, seed: int, **given: Any
) -> Recipe:
    """So many pictures of each stop: other seeds, or with η variations of its own picture."""
    noise = noise_of(model, stops, given.get("steps")) if eta > 0 else None
    each = [i for i in range(len(stops)) for _ in range(n)]
    points = Points.concat([stops[i].point for i in each])
    if noise is not None and len(noise) > 1:
        noise = noise[each]
    seeds = tuple(seed + i for i in range(n)) * len(stops) if n > 1 else (seed,)
    count = len(points)
    return plan(model, points, noise, way="points", count=count, eta=eta, seeds=seeds, **given)


def noise_of(model: Model, stops: Sequence[Stop], steps: int | None) -> Noise | None:
    """x_T of every stop's own picture; None unless all have one."""
    pictures = [stop.picture for stop in stops if stop.picture is not None]
    if len(pictures) != len(stops):
        return None
    decoder, points = decoder_of(model), Points.concat([stop.point for stop in stops])
    return storable(decoder.invert(pictures, points, steps=steps or FINE * decoder.steps))


def plan(model: Model, points: Points, noise: Noise | None, **given: Any) -> Recipe:
    """A Recipe with this model's decoder, and its defaults for what is not given or None."""
    decoder = decoder_of(model)
    follow = noise is not None  # inverted noise reconstructs only without guidance, by DDIM
    defaults = {
        "steps": FINE * decoder.steps if follow else decoder.steps,
        "guidance": 1.0 if follow else decoder.guidance,
        "eta": 0.0,
    }
    settings = defaults | {name: value for name, value in given.items() if value is not None}
    solver = "ddim" if follow or settings["eta"] > 0 else decoder.solver
    return Recipe(
        model=model.name,
        decoder=decoder.fingerprint,
        stops=points,
        solver=solver,
        noise=noise,
        **settings,
    )
