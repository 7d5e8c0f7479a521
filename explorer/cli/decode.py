"""Commands that paint images one by one: decode, invert, inpaint."""

from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.edits import Json, Out
from explorer.cli.options import Chosen, Knobs, decoded, numbers
from explorer.cli.output import door, report
from explorer.errors import QueryError

if TYPE_CHECKING:
    from PIL import Image

    from explorer.edits import Stop
    from explorer.models import Model
    from explorer.recipe import Recipe

Each = Annotated[int, typer.Option("-n", min=1, help="How many images of each point.")]


@dataclass(frozen=True)
class Start:
    """What a decoding starts from, if not from noise alone."""

    eta: Annotated[
        float, typer.Option("--eta", help="0 … 1: vary around an image's own inverted noise.")
    ] = 0.0
    noise: Annotated[
        FilePath | None,
        typer.Option("--noise", help="A file of `unclip invert`, which also gives the point."),
    ] = None
    strength: Annotated[
        float | None,
        typer.Option("--strength", help="0 … 1: redraw the query's image, so much of it."),
    ] = None
    rescale: Annotated[
        bool,
        typer.Option("--rescale", help="Give vectors the length that the decoder was trained on."),
    ] = False


@door
def decode(
    out: Out,
    start: Start,
    knobs: Knobs,
    chosen: Chosen,
    query: Annotated[
        list[str] | None,
        typer.Argument(help="An image, words, an algebra of both, or vectors.npy."),
    ] = None,
    n: Each = 1,
    as_json: Json = False,
) -> None:
    """Draw the image of any point; with several decoders, one sheet of all.

    Examples: unclip decode cat.png -n 4 --eta 0.7 -o variations.png
    · unclip decode "a cat" + "a red heart" -o cat.png
    """
    from explorer.rendering import check_output

    check_output(out, video=False)
    if start.strength is not None:
        _check_room(out)
    if start.noise is not None:
        planned = [_from_noise(chosen, query or [], n, start, knobs)]
    else:
        planned = _each_decoder(chosen, query or [], n, start, knobs)
    _write(planned, out, as_json)


@door
def invert(
    image: Annotated[FilePath, typer.Argument(help="An image.")],
    out: Annotated[FilePath, typer.Option("-o", "--out", help="The .npz file to write.")],
    knobs: Knobs,
    chosen: Chosen,
    as_json: Json = False,
) -> None:
    """Find the noise that an image is decoded from, for `unclip decode --noise`.

    Decoded without changes it gives the image back; with --eta, variations of it.

    Example: unclip invert cat.png -o cat.npz
    """
    from explorer import edits
    from explorer.cli.vectors import write_noise

    if out.suffix != ".npz" or not out.parent.is_dir():
        raise QueryError(f"{out} cannot be written: a .npz in a folder that exists is needed.")
    model = chosen.open()
    stop = edits.Stop.of_image(model, image)
    given = knobs.settings() | {"solver": None, "guidance": None}
    noise = edits.noise_of(model, [stop], **given)
    recipe = edits.plan(model, stop.point, noise, way="points", count=1, title=str(image), **given)
    write_noise(recipe, out)
    value = {"file": str(out), "steps": recipe.steps, "decoder": recipe.decoder}
    report(value, as_json, [f"{out}: {image} inverted in {recipe.steps} steps"])


@door
def inpaint(
    file: Annotated[FilePath, typer.Argument(metavar="IMAGE", help="An image.")],
    out: Out,
    knobs: Knobs,
    chosen: Chosen,
    mask: Annotated[
        FilePath | None, typer.Option(help="An image of its size; white is painted anew.")
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="LEFT,TOP,WIDTH,HEIGHT in pixels, instead of a mask.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="What the whole shall show; default: what it shows now.")
    ] = None,
    n: Each = 1,
    as_json: Json = False,
) -> None:
    """Paint a part of an image anew; the rest stays as it is.

    Example: unclip inpaint cat.png --box 10,10,40,20 --text "a cat with a hat" -o hat.png
    """
    from explorer import edits
    from explorer.images import open_image
    from explorer.rendering import check_output

    check_output(out, video=False)
    _check_room(out)
    image = open_image(file)
    where = _mask(image, mask, box)
    model = chosen.open()
    stop = edits.Stop.of_image(model, file)
    point = edits.point_to_paint(model, stop, text, knobs.seed)
    given = knobs.settings() | {"mask": where, "title": f"{file}: {text or 'as it was'}"}
    recipe = edits.plan_painted(model, image, point, n, seed=knobs.seed, **given)
    _write([(recipe, model)], out, as_json)


def _check_room(out: FilePath) -> None:
    if out.suffix.lower() != ".png":
        raise QueryError("The recipe holds the image itself, for which only a .png has room.")


def _mask(image: "Image.Image", mask: FilePath | None, box: str | None) -> "Image.Image":
    """Where to paint, in the image's own pixels."""
    from PIL import Image

    from explorer.images import open_image
    from explorer.masks import as_grey

    if (mask is None) == (box is None):
        raise QueryError("Say where to paint: --mask FILE, or --box LEFT,TOP,WIDTH,HEIGHT.")
    if mask is not None:
        return as_grey(open_image(mask), image)
    left, top, width, height = numbers(box or "", 4, "LEFT,TOP,WIDTH,HEIGHT")
    drawn = Image.new("L", image.size)
    drawn.paste(255, (left, top, left + width, top + height))
    return as_grey(drawn, image)


def _from_noise(
    chosen: Chosen, query: list[str], n: int, start: Start, knobs: Knobs
) -> "tuple[Recipe, Model]":
    """Decode from inverted noise, at its own point or another."""
    from explorer import edits
    from explorer.cli.vectors import read_noise

    if start.noise is None or start.strength is not None or start.rescale:
        raise QueryError("--noise goes with neither --strength nor --rescale.")
    kept = read_noise(start.noise)
    home = [kept.decoder_from] if kept.decoder_from else None
    chosen = replace(
        chosen, model_name=chosen.model_name or kept.model, decoders=chosen.decoders or home
    )
    model = chosen.open()
    decoder = edits.decoder_of(model)
    model = replace(model, decoder=decoder.with_options(**{**kept.options, **decoder.options}))
    if edits.decoder_of(model).fingerprint != kept.decoder:
        raise QueryError(f"{start.noise} was found with another decoder: invert the image again.")
    stops = _stops(model, query, knobs.seed) if query else [edits.Stop(kept.stops, None)]
    given = knobs.settings() | {"noise": kept.noise, "title": " ".join(query) or kept.title}
    given["steps"] = knobs.steps or kept.steps
    return edits.plan_images(model, stops, n, eta=start.eta, seed=knobs.seed, **given), model


def _each_decoder(
    chosen: Chosen, query: list[str], n: int, start: Start, knobs: Knobs
) -> "list[tuple[Recipe, Model]]":
    """One plan for every decoder that was asked for, all of the same points."""
    from explorer import edits

    if not query:
        raise QueryError("Say what to decode: an image, words, vectors.npy, or --noise FILE.")
    models = chosen.open_each()
    reader = next((model for model in models if model.prior is not None), models[0])
    for model in models:
        reader.space.check(model.space, "Decoders on one sheet must read one space.")
    stops = _stops(reader, query, knobs.seed)
    given: dict[str, Any] = knobs.settings() | {"eta": start.eta, "title": " ".join(query)}
    planned = []
    for model in models:
        own = [_rescaled(stop, model) for stop in stops] if start.rescale else stops
        if start.strength is None:
            recipe = edits.plan_images(model, own, n, seed=knobs.seed, **given)
        else:
            image, given["strength"] = _image_in(query), start.strength
            recipe = edits.plan_painted(model, image, own[0].point, n, seed=knobs.seed, **given)
        planned.append((recipe, model))
    return planned


def _image_in(query: list[str]) -> "Image.Image":
    from explorer.images import open_image
    from explorer.query import Query

    files = [term.text for term in Query.parse(query).terms if term.is_image]
    if not files:
        raise QueryError("--strength redraws an image: name one in the query.")
    return open_image(files[0])


def _stops(model: "Model", query: list[str], seed: int) -> "list[Stop]":
    from explorer.cli.vectors import read_vectors
    from explorer.edits import Stop

    if len(query) == 1 and query[0].endswith((".npy", ".parquet")):
        points = read_vectors(FilePath(query[0]), model.space)
        return [Stop(point, None) for point in points]
    return [Stop.read(model, query, seed)]


def _rescaled(stop: "Stop", model: "Model") -> "Stop":
    from explorer.edits import decoder_of

    norms = decoder_of(model).norms
    if norms is None:
        raise QueryError(f"The decoder of {model.name} says no length that it was trained on.")
    return replace(stop, point=stop.point.with_vectors(stop.point.unit * norms[0]))


def _write(planned: "list[tuple[Recipe, Model]]", out: FilePath, as_json: bool) -> None:
    """Decode and write: one image, a sheet, or a sheet with a row for every decoder."""
    from explorer.rendering import write_compared

    made = [decoded(recipe, model) for recipe, model in planned]
    if len(made) == 1:
        made[0].write(out)
    else:
        write_compared(made, out)
    rows = [row for each in made for row in each.roundtrips()]
    mean = sum(row["roundtrip"] for row in rows) / len(rows)
    report(rows, as_json, [f"{out}: {len(rows)} images, round trip {mean:.3f} on average"])
