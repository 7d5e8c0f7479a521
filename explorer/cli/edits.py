"""Commands that edit: diff, walk, inpaint, replay."""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.engine import LOCAL, EngineOptions
from explorer.cli.options import (
    Json,
    Measured,
    ModelOptions,
    Out,
    Trust,
    decode_all,
    open_library,
    opened,
    read_options,
    settings_options,
    trust_folders,
)
from explorer.cli.output import command, report
from explorer.cli.retrieving import Shown, check_decodes, save_retrieval
from explorer.cli.values import numbers, timing
from explorer.errors import QueryError
from explorer.recipe_checks import LIMIT
from explorer.settings import Settings

if TYPE_CHECKING:
    from explorer.library import Library
    from explorer.rendering import Rendering

Frames = Annotated[
    int | None,
    typer.Option(
        "--frames", min=2, help="Number of frames; of real images, where nothing decodes, 12."
    ),
]
Fps = Annotated[
    float | None, typer.Option("--fps", help="Frames per second of a video; of real images 2.")
]
Moving = Annotated[
    Settings,
    settings_options("steps", "guidance", "eta", "solver", "seed", "noise", "preview", "options"),
]
Fraction = Annotated[
    float | None,
    typer.Option(
        help="How far to rotate, as a part of the whole angle: 0.5. Through the prior, as a part "
        "of the way: 1."
    ),
]
ThroughPrior = Annotated[
    bool | None,
    typer.Option(
        "--through-prior/--rotate",
        help="Go to where the prior places images of the target caption, which needs --from, or "
        "rotate towards the difference of the captions. Default: through the prior with pocket "
        "and --from.",
        show_default=False,
    ),
]
Painting = Annotated[
    Settings, settings_options("steps", "guidance", "eta", "solver", "seed", "preview", "options")
]


@command
def diff(
    library: Measured,
    start: Annotated[str, typer.Argument(help="An image, words, or an algebra of both.")],
    *,
    after: Annotated[str, typer.Option("--to", help="Target caption.")],
    out: Out,
    before: Annotated[
        str | None, typer.Option("--from", help="Caption of what it shows now; optional.")
    ] = None,
    fraction: Fraction = None,
    through_prior: ThroughPrior = None,
    frames: Frames = None,
    fps: Fps = None,
    settings: Moving,
    model_options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Change an image by words, step by step (text diff).

    Where the model of the library has no decoder, shows the nearest real images on the way.

    Example: unclip diff apple.png --from "red apple" --to "green apple" -o apple.mp4
    """
    from explorer import edits
    from explorer.rendering import check_output

    check_output(out, video=True)
    model = model_options.open(library)
    shown, settings = open_library(library, model), read_options(settings, model)
    asked: dict[str, Any] = {"after": after, "before": before}
    if model.decoder is None:
        check_decodes(model, **{"--through-prior": bool(through_prior)})
        asked["fraction"] = 0.5 if fraction is None else fraction
        of = Shown(model, shown, out, as_json, frames, fps)
        save_retrieval(of, "text_diff", start, **asked)
        return
    asked |= {"fraction": fraction, "through_prior": through_prior, "settings": settings}
    rendering = edits.text_diff(model, start, **asked, **timing(frames, fps, 24, 12))
    save_path(rendering, out, shown, as_json)


@command
def walk(
    library: Measured,
    keyframes: Annotated[list[str], typer.Argument(help="Two or more images, words or algebras.")],
    *,
    out: Out,
    frames: Frames = None,
    fps: Fps = None,
    even: Annotated[
        bool,
        typer.Option("--even", help="Re-time frames to constant visual speed (decodes twice)."),
    ] = False,
    where: EngineOptions = LOCAL,
    settings: Moving,
    model_options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Interpolate between images or words.

    Follows great circles. Between images the inverted noise is interpolated too, so that the
    ends are the images themselves. Where the model of the library has no decoder, shows the
    nearest real images on the way. With --engine ray, actors decode the frames.

    Example: unclip walk cat.png dog.png "a red car" -o walk.mp4
    """
    from explorer import edits
    from explorer.rendering import check_output

    if len(keyframes) < 2:
        raise QueryError("A walk needs two keyframes or more: unclip walk A B -o walk.mp4")
    check_output(out, video=True)
    engine, model = where.build(model_options.memory), model_options.open(library)
    shown, settings = open_library(library, model), read_options(settings, model)
    if model.decoder is None:
        check_decodes(model, **{"--even": even, "--engine": engine is not None})
        save_retrieval(Shown(model, shown, out, as_json, frames, fps), "interpolate", keyframes)
        return
    model = model if engine is None else engine.decoding(model)
    path = edits.interpolate(model, keyframes, settings=settings, **timing(frames, fps, 48, 24))
    path = edits.evened(decode_all(path)) if even else path
    save_path(path, out, shown, as_json)


@command
def inpaint(
    file: Annotated[FilePath, typer.Argument(metavar="IMAGE", help="An image.")],
    *,
    out: Out,
    mask: Annotated[
        FilePath | None, typer.Option(help="An image of the same size; white is replaced.")
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="LEFT,TOP,WIDTH,HEIGHT in pixels, instead of a mask.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="What the whole shows; default: what it shows now.")
    ] = None,
    count: Annotated[int, typer.Option("-n", min=1, help="Number of images.")] = 1,
    settings: Painting,
    model_options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Replace a part of an image; the rest stays as it is.

    Example: unclip inpaint cat.png --box 10,10,40,20 --text "a cat with a hat" -o hat.png
    """
    from explorer import edits
    from explorer.cli.decode import save_images
    from explorer.images import open_image
    from explorer.rendering import check_output

    check_output(out, video=False)
    if (mask is None) == (box is None):
        raise QueryError("Choose the part: --mask FILE, or --box LEFT,TOP,WIDTH,HEIGHT.")
    where = mask or _box(box or "")
    open_image(file)  # report now what is wrong with it
    model = model_options.open()
    settings = read_options(settings, model)
    rendering = edits.inpaint(model, file, where, text=text, count=count, settings=settings)
    save_images([rendering], out, as_json)


@command
def replay(
    file: Annotated[FilePath, typer.Argument(help="An image or video that unclip wrote.")],
    *,
    out: Out,
    decoder: Annotated[
        str | None, typer.Option("--decoder", help="Where its decoder is now, if it was moved.")
    ] = None,
    limit: Annotated[
        float,
        typer.Option("--limit", help="Frames × steps × megapixels that the file may ask for."),
    ] = LIMIT,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Recreate an image or video from its recipe.

    Example: unclip replay apple.mp4 -o again.mp4
    """
    from explorer.edits import from_recipe
    from explorer.edits.replaying import recipes_in
    from explorer.rendering import check_output, recipe_values, save_comparison

    trust_folders(trust)
    values = recipe_values(file)
    recipes = recipes_in(values, limit)
    check_output(out, video=recipes[0].way != "points")
    kept = values.get("library")
    library = opened(kept) if isinstance(kept, str) and kept and "\0" not in kept else None
    renderings = [decode_all(from_recipe(recipe, decoder)) for recipe in recipes]
    if "sheet" in values:
        save_comparison(renderings, out)
    else:
        renderings[0].save(out, library)
    title = recipes[0].title
    report({"file": str(out), "title": title}, as_json, [f"{out}: {title}"])


def save_path(
    rendering: "Rendering", out: FilePath, library: "Library | None", as_json: bool
) -> None:
    """Decode and write a path, and report how its frames measure."""
    decode_all(rendering).save(out, library)
    rows = rendering.measure(library).to_dict("records")
    first, last = rows[0], rows[-1]
    lines = [
        f"{out}: {rendering.recipe.title}, {len(rows)} frames",
        f"  similarity to the end {first['similarity_end']:.3f} → {last['similarity_end']:.3f}, "
        f"to the start {first['similarity_start']:.3f} → {last['similarity_start']:.3f}",
    ]
    if library is not None:
        lines.append(f"  nearest: {first['nearest'][0]} → {last['nearest'][0]}")
    report(rows, as_json, lines)


def _box(text: str) -> tuple[int, int, int, int]:
    left, top, width, height = numbers(text, 4, "LEFT,TOP,WIDTH,HEIGHT")
    return left, top, width, height
