"""Commands about one point: decode it, and invert an image into noise."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.options import (
    SETTINGS,
    Json,
    ModelOptions,
    Out,
    decode_all,
    read_options,
    settings_options,
)
from explorer.cli.output import command, report, say
from explorer.errors import QueryError
from explorer.files import check_writable
from explorer.notes import counted
from explorer.settings import Settings

if TYPE_CHECKING:
    from explorer.models import Model
    from explorer.points import Points
    from explorer.query import Query
    from explorer.rendering import Rendering


@command
def decode(
    query: Annotated[
        list[str] | None,
        typer.Argument(help="An image, words, an algebra of both, or vectors.npy."),
    ] = None,
    *,
    out: Out,
    count: Annotated[int, typer.Option("-n", min=1, help="Number of images of each point.")] = 1,
    noise_file: Annotated[
        FilePath | None,
        typer.Option("--noise", help="A file of `unclip invert`, which also gives the point."),
    ] = None,
    rescale: Annotated[
        bool,
        typer.Option("--rescale", help="Give vectors the length that the decoder was trained on."),
    ] = False,
    settings: Annotated[Settings, settings_options(*SETTINGS)],
    model_options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Decode any point into an image; with several decoders, one sheet of all.

    Examples: unclip decode cat.png -n 4 --eta 0.7 -o variations.png
    · unclip decode "a cat" + "a red heart" -o cat.png
    """
    from explorer.rendering import check_output

    check_output(out, video=False)
    if noise_file is not None:
        if settings.strength < 1 or rescale:
            raise QueryError("--noise goes with neither --strength nor --rescale.")
        renderings = [_from_noise(noise_file, query, count, settings, model_options)]
    elif not query:
        raise QueryError("Name what to decode: an image, words, vectors.npy, or --noise FILE.")
    else:
        renderings = [
            _decode_one(model, query, count, rescale, read_options(settings, model))
            for model in _models(model_options)
        ]
    save_images(renderings, out, as_json)


@command
def invert(
    image: Annotated[FilePath, typer.Argument(help="An image.")],
    *,
    out: Annotated[FilePath, typer.Option("-o", "--out", help="Output file, .npz.")],
    settings: Annotated[Settings, settings_options("steps", "preview", "options")],
    model_options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Find the noise that an image is decoded from, for `unclip decode --noise`.

    Decoded without changes it gives the image back; with --eta, variations of it.

    Example: unclip invert cat.png -o cat.npz
    """
    from explorer import edits
    from explorer.cli.vectors import write_noise

    if out.suffix != ".npz" or not out.parent.is_dir():
        raise QueryError(f"{out} cannot be written: give a .npz file in a folder that exists.")
    check_writable(out)
    model = model_options.open()
    settings = read_options(settings, model).changed(noise="inverted")
    recipe = edits.decode(model, image, settings=settings).recipe
    write_noise(recipe, out)
    steps = recipe.settings.steps
    value = {"file": str(out), "steps": steps, "decoder": recipe.decoder}
    report(value, as_json, [f"{out}: {image} inverted in {steps} steps"])


def save_images(renderings: "Sequence[Rendering]", out: FilePath, as_json: bool) -> None:
    """Decode and write: one image, a sheet, or a sheet with a row for every decoder."""
    from explorer.rendering import save_comparison

    for rendering in renderings:
        decode_all(rendering)
    if len(renderings) == 1:
        renderings[0].save(out)
    else:
        save_comparison(renderings, out)
    rows = [
        {"decoder": each.decoder_name, **row}
        for each in renderings
        for row in each.measure()[["label", "roundtrip"]].to_dict("records")
    ]
    mean = sum(row["roundtrip"] for row in rows) / len(rows)
    report(rows, as_json, [f"{out}: {counted(len(rows))}, mean round-trip similarity {mean:.3f}"])


def _decode_one(
    model: "Model", words: list[str], count: int, rescale: bool, settings: Settings
) -> "Rendering":
    from explorer import edits

    what = _read(model, words)
    if settings.strength < 1:
        image = _image_in(what)
        return edits.redraw(model, image, text=what, count=count, settings=settings)
    if rescale:
        what = _rescaled(model, what, settings)
    edit = edits.variations if settings.eta else edits.decode
    return edit(model, what, count=count, settings=settings)


def _from_noise(
    file: FilePath,
    words: list[str] | None,
    count: int,
    settings: Settings,
    model_options: ModelOptions,
) -> "Rendering":
    """Decode from inverted noise, at its own point or another."""
    from explorer import edits
    from explorer.cli.vectors import read_noise
    from explorer.rendering import decoder_of

    kept = read_noise(file)
    home = [kept.decoder_from] if kept.decoder_from else None
    model = replace(
        model_options,
        model_name=model_options.model_name or kept.model,
        decoders=model_options.decoders or home,
    ).open()
    settings = read_options(settings, model)
    options = {**kept.settings.options, **settings.options}
    if decoder_of(model).with_options(**options).fingerprint != kept.decoder:
        raise QueryError(f"{file} was found with another decoder: invert the image again.")
    settings = settings.changed(steps=settings.steps or kept.settings.steps, options=options)
    what = _read(model, words) if words else kept.keyframes
    return edits.decode(model, what, count=count, noise=kept.noise, settings=settings)


def _models(model_options: ModelOptions) -> "list[Model]":
    """Load a model for every decoder, all with the encoder and prior of one."""
    models = model_options.open_each()
    reader = next((model for model in models if model.prior is not None), models[0])
    for model in models:
        reader.space.check(model.space, "Decoders on one sheet must read one space.")
    return [replace(model, encoder=reader.encoder, prior=reader.prior) for model in models]


def _read(model: "Model", words: list[str]) -> "Query | Points":
    from explorer.cli.vectors import read_vectors
    from explorer.query import Query

    if len(words) == 1 and words[0].endswith((".npy", ".parquet")):
        return read_vectors(FilePath(words[0]), model.space)
    return Query.parse(words)


def _image_in(what: "Query | Points") -> FilePath:
    from explorer.query import Query

    terms = what.terms if isinstance(what, Query) else ()
    files = [term.text for term in terms if term.is_image]
    if not files:
        raise QueryError("--strength starts from an image: name one in the query.")
    return FilePath(files[0])


def _rescaled(model: "Model", what: "Query | Points", settings: Settings) -> "Points":
    from explorer.query import Query
    from explorer.rendering import decoder_of

    norms = decoder_of(model).norms
    if norms is None:
        raise QueryError(f"The decoder of {model.name} states no length that it was trained on.")
    if isinstance(what, Query):
        (seed,) = settings.seeds(1)
        what = what.decodable(model.encoder, model.prior, seed).with_labels([str(what)])
    say(
        f"unclip: warning: the lengths of the vectors are taken to be {norms[0]:.3g}, the mean of "
        f"what the decoder of {model.name} was trained on; their own are not used.",
        sys.stderr,
    )
    return what.with_vectors(what.unit * norms[0])
