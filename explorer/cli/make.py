"""Commands that decode: diff, walk, decode, replay."""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.doors import door, report

if TYPE_CHECKING:
    from explorer.cli.frames import Made
    from explorer.library import Library
    from explorer.models import Model
    from explorer.points import Points
    from explorer.recipe import Recipe

Out = Annotated[
    FilePath, typer.Option("-o", "--out", help="The file to write; its suffix says as what.")
]
ModelName = Annotated[
    str, typer.Option("--model", help="A model with a decoder; see `unclip models`.")
]
LibraryFolder = Annotated[
    FilePath | None, typer.Option("--library", help="Show the nearest pictures of this library.")
]
Seed = Annotated[int, typer.Option("--seed", help="Which noise to start from.")]
Steps = Annotated[int | None, typer.Option("--steps", help="Denoising steps; more is slower.")]
Guidance = Annotated[
    float | None, typer.Option("--guidance", help="How strictly to follow the point; 1 is off.")
]
Frames = Annotated[int, typer.Option("--frames", min=2, help="How many frames.")]
Fps = Annotated[float, typer.Option("--fps", help="Frames a second in a video.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]
FixedNoise = Annotated[
    bool, typer.Option("--fixed-noise", help="Start from --seed even where a picture is given.")
]


@door
def diff(
    start: Annotated[str, typer.Argument(help="A picture, words, or an algebra of both.")],
    after: Annotated[str, typer.Option("--to", help="What it shall become.")],
    out: Out,
    before: Annotated[
        str | None, typer.Option("--from", help="What it is now; may be left out.")
    ] = None,
    library: LibraryFolder = None,
    fraction: Annotated[
        float, typer.Option(help="How far to turn, as part of the whole angle.")
    ] = 0.5,
    frames: Frames = 24,
    fps: Fps = 12,
    seed: Seed = 0,
    steps: Steps = None,
    guidance: Guidance = None,
    fixed_noise: FixedNoise = False,
    model_name: ModelName = "pocket",
    as_json: Json = False,
) -> None:
    """Change a picture by words, step by step.

    Example: unclip diff cat.png --from "cat face" --to "dog face" -o dog.mp4
    """
    from explorer.cli import frames as work

    work.check_output(out, video=True)
    model, shown = _open(model_name, library)
    recipe, ends = work.plan_diff(
        model,
        work.Stop.read(model, start, seed),
        before,
        after,
        fraction=fraction,
        inverted=not fixed_noise,
        **_settings(frames, fps, seed, steps, guidance),
    )
    _finish(recipe, model, out, shown, ends, as_json)


@door
def walk(
    stops: Annotated[list[str], typer.Argument(help="Two or more pictures, words or algebras.")],
    out: Out,
    library: LibraryFolder = None,
    frames: Frames = 48,
    fps: Fps = 24,
    seed: Seed = 0,
    steps: Steps = None,
    guidance: Guidance = None,
    fixed_noise: FixedNoise = False,
    model_name: ModelName = "pocket",
    as_json: Json = False,
) -> None:
    """Interpolate between pictures or words.

    Goes along great circles and decodes on the way. Between pictures the inverted noises turn
    into each other too, so that the ends are the pictures themselves.

    Example: unclip walk cat.png dog.png "a red car" -o walk.mp4
    """
    from explorer.cli import frames as work
    from explorer.errors import QueryError

    if len(stops) < 2:
        raise QueryError("A walk needs two stops or more: unclip walk A B -o walk.mp4")
    work.check_output(out, video=True)
    model, shown = _open(model_name, library)
    read = [work.Stop.read(model, stop, seed) for stop in stops]
    recipe = work.plan_walk(
        model,
        read,
        inverted=not fixed_noise,
        **_settings(frames, fps, seed, steps, guidance),
    )
    _finish(recipe, model, out, shown, (read[0].point, read[-1].point), as_json)


@door
def decode(
    query: Annotated[
        list[str], typer.Argument(help="A picture, words, an algebra of both, or vectors.npy.")
    ],
    out: Out,
    n: Annotated[int, typer.Option("-n", min=1, help="How many pictures of each point.")] = 1,
    eta: Annotated[
        float, typer.Option(help="0 … 1: vary around a picture's own inverted noise.")
    ] = 0.0,
    seed: Seed = 0,
    steps: Steps = None,
    guidance: Guidance = None,
    model_name: ModelName = "pocket",
    as_json: Json = False,
) -> None:
    """Draw the picture of any point.

    Examples: unclip decode cat.png -n 4 --eta 0.7 -o variations.png
    · unclip decode "a cat" + "a red heart" -o cat.png
    """
    from explorer.cli import frames as work

    work.check_output(out, video=False)
    model, _ = _open(model_name, None)
    stops = _stops(model, query, seed)
    chosen = {"steps": steps, "guidance": guidance, "title": " ".join(query)}
    recipe = work.plan_pictures(model, stops, n, eta=eta, seed=seed, **chosen)
    made = work.Made(recipe, model, list(work.make(recipe, model)))
    made.write(out)
    points = recipe.stops
    seen = model.encoder.encode_images(made.frames)
    cosines = (seen.unit * points.unit).sum(1)
    rows = [
        {"label": label, "roundtrip": round(float(cosine), 4)}
        for label, cosine in zip(points.labels, cosines, strict=True)
    ]
    lines = [f"{out}: {len(rows)} pictures, round trip {cosines.mean():.3f} on average"]
    report(rows, as_json, lines)


@door
def replay(
    file: Annotated[FilePath, typer.Argument(help="A picture or video that unclip wrote.")],
    out: Out,
    as_json: Json = False,
) -> None:
    """Make a picture or video again from its recipe."""
    from explorer.cli import frames as work
    from explorer.library import Library
    from explorer.models import load
    from explorer.recipe import Recipe

    values = work.recipe_of(file)
    recipe = Recipe.from_dict(values)
    work.check_output(out, video=recipe.way != "points")
    shown = Library.open(values["library"]) if values.get("library") else None
    model = load(recipe.model)
    model.space.check(recipe.stops.space, "The recipe was written with other weights.")
    work.Made(recipe, model, list(work.make(recipe, model))).write(out, shown)
    report({"file": str(out), "title": recipe.title}, as_json, [f"{out}: {recipe.title}"])


def _settings(
    frames: int, fps: float, seed: int, steps: int | None, guidance: float | None
) -> dict[str, Any]:
    seeds = (seed,)
    return {"count": frames, "fps": fps, "seeds": seeds, "steps": steps, "guidance": guidance}


def _open(name: str, folder: FilePath | None) -> "tuple[Model, Library | None]":
    from explorer.library import Library
    from explorer.models import load

    library = Library.open(folder) if folder else None
    model = load(name)
    if library is not None:
        model.space.check(library.space, f"The library {folder} was made with {library.model}.")
    return model, library


def _stops(model: "Model", query: list[str], seed: int) -> "list[Any]":
    from explorer.cli import frames as work
    from explorer.cli.vectors import read_vectors

    if len(query) == 1 and query[0].endswith((".npy", ".parquet")):
        points = read_vectors(FilePath(query[0]), model.space)
        return [work.Stop(point, None) for point in points]
    return [work.Stop.read(model, query, seed)]


def _finish(
    recipe: "Recipe",
    model: "Model",
    out: FilePath,
    library: "Library | None",
    ends: "tuple[Points, Points]",
    as_json: bool,
) -> None:
    from explorer.cli import frames as work

    made: Made = work.Made(recipe, model, list(work.make(recipe, model)))
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
