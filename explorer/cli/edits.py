"""Commands that make moving images, and any image again: diff, walk, replay."""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.options import Chosen, Knobs, decoded, open_library
from explorer.cli.output import door, report
from explorer.errors import QueryError

if TYPE_CHECKING:
    from explorer.library import Library
    from explorer.models import Model
    from explorer.points import Points
    from explorer.recipe import Recipe

Out = Annotated[
    FilePath, typer.Option("-o", "--out", help="The file to write; its suffix says as what.")
]
LibraryFolder = Annotated[
    FilePath | None, typer.Option("--library", help="Show the nearest images of this library.")
]
Frames = Annotated[int, typer.Option("--frames", min=2, help="How many frames.")]
Fps = Annotated[float, typer.Option("--fps", help="Frames a second in a video.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]
FixedNoise = Annotated[
    bool, typer.Option("--fixed-noise", help="Start from --seed even where an image is given.")
]


@door
def diff(
    start: Annotated[str, typer.Argument(help="An image, words, or an algebra of both.")],
    after: Annotated[str, typer.Option("--to", help="What it shall become.")],
    out: Out,
    knobs: Knobs,
    chosen: Chosen,
    before: Annotated[
        str | None, typer.Option("--from", help="What it is now; may be left out.")
    ] = None,
    library: LibraryFolder = None,
    fraction: Annotated[
        float, typer.Option(help="How far to turn, as part of the whole angle.")
    ] = 0.5,
    frames: Frames = 24,
    fps: Fps = 12,
    fixed_noise: FixedNoise = False,
    as_json: Json = False,
) -> None:
    """Change an image by words, step by step.

    Example: unclip diff cat.png --from "cat face" --to "dog face" -o dog.mp4
    """
    from explorer import edits
    from explorer.rendering import check_output

    check_output(out, video=True)
    model = chosen.open()
    shown = open_library(library, model)
    stop = edits.Stop.read(model, start, knobs.seed)
    given = knobs.settings() | {"count": frames, "fps": fps, "seeds": (knobs.seed,)}
    recipe, ends = edits.plan_diff(
        model, stop, before, after, fraction=fraction, inverted=not fixed_noise, **given
    )
    _finish(recipe, model, out, shown, ends, as_json)


@door
def walk(
    stops: Annotated[list[str], typer.Argument(help="Two or more images, words or algebras.")],
    out: Out,
    knobs: Knobs,
    chosen: Chosen,
    library: LibraryFolder = None,
    frames: Frames = 48,
    fps: Fps = 24,
    fixed_noise: FixedNoise = False,
    even: Annotated[
        bool, typer.Option("--even", help="Change as much with each frame; decodes twice.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Interpolate between images or words.

    Goes along great circles and decodes on the way. Between images the inverted noises turn
    into each other too, so that the ends are the images themselves.

    Example: unclip walk cat.png dog.png "a red car" -o walk.mp4
    """
    from explorer import edits
    from explorer.rendering import check_output

    if len(stops) < 2:
        raise QueryError("A walk needs two stops or more: unclip walk A B -o walk.mp4")
    check_output(out, video=True)
    model = chosen.open()
    shown = open_library(library, model)
    read = [edits.Stop.read(model, stop, knobs.seed) for stop in stops]
    given = knobs.settings() | {"count": frames, "fps": fps, "seeds": (knobs.seed,)}
    recipe = edits.plan_walk(model, read, inverted=not fixed_noise, **given)
    if even:
        draft = decoded(recipe, model)
        recipe = edits.evened(recipe, model.encoder.encode_images(draft.frames))
    _finish(recipe, model, out, shown, (read[0].point, read[-1].point), as_json)


@door
def replay(
    file: Annotated[FilePath, typer.Argument(help="An image or video that unclip wrote.")],
    out: Out,
    decoder: Annotated[
        str | None, typer.Option("--decoder", help="Where its decoder is now, if it was moved.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an image or video again from its recipe."""
    from explorer.library import Library
    from explorer.recipe import Recipe
    from explorer.rendering import check_output, recipe_of, write_compared

    values = recipe_of(file)
    recipes = [Recipe.from_dict(each) for each in values.get("sheet", [values])]
    check_output(out, video=recipes[0].way != "points")
    shown = Library.open(values["library"]) if values.get("library") else None
    made = [decoded(recipe, _model_of(recipe, decoder)) for recipe in recipes]
    if "sheet" in values:
        write_compared(made, out)
    else:
        made[0].write(out, shown)
    title = recipes[0].title
    report({"file": str(out), "title": title}, as_json, [f"{out}: {title}"])


def _model_of(recipe: "Recipe", decoder: str | None) -> "Model":
    from explorer.models import load

    model = load(recipe.model, decoder=decoder or recipe.decoder_from or None)
    model.space.check(recipe.stops.space, "The recipe was written with other weights.")
    return model


def _finish(
    recipe: "Recipe",
    model: "Model",
    out: FilePath,
    library: "Library | None",
    ends: "tuple[Points, Points]",
    as_json: bool,
) -> None:

    made = decoded(recipe, model)
    made.write(out, library)
    rows = made.measures(*ends, library)
    first, last = rows[0], rows[-1]
    lines = [
        f"{out}: {recipe.title}, {len(rows)} frames",
        f"  similarity to the end {first['score_to']:.3f} → {last['score_to']:.3f}, "
        f"to the beginning {first['score_from']:.3f} → {last['score_from']:.3f}",
    ]
    if library is not None:
        lines.append(f"  nearest: {first['neighbours'][0]} → {last['neighbours'][0]}")
    report(rows, as_json, lines)
