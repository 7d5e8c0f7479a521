"""Commands about features that a library teaches: features, turn."""

from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from explorer.cli.edits import Moving, save_path
from explorer.cli.options import Folder, Json, ModelOptions, Out, opened, read_options
from explorer.cli.output import command, report, say
from explorer.errors import QueryError

if TYPE_CHECKING:
    from explorer.features import Features
    from explorer.library import Library
    from explorer.models import Model

SHOWN_IMAGES = 4  # of each feature
AMOUNTS = (0.0, 1.0, 2.0, 4.0)  # how far a feature is turned on a sheet

MAX_LISTED_ROWS = 100_000  # that are looked at; more are sampled
MAX_TOLD_ROWS = 500  # the same of words, which take some 10 ms an image


@dataclass(frozen=True)
class FeatureOptions:
    """Which features, and how many."""

    count: Annotated[
        int, typer.Option("--count", min=2, max=4096, help="Number of features that are learnt.")
    ] = 128
    active: Annotated[
        int, typer.Option("--active", min=1, help="Most learnt features of one image.")
    ] = 8
    words: Annotated[
        FilePath | None,
        typer.Option("--words", help="A file of words, one a line: take these, and learn none."),
    ] = None

    def of(self, library: "Library") -> "Features":
        """Fit them to a library, or read them from its cache."""
        from explorer.regions.learnt import library_features

        words = _lines(self.words) if self.words else ()
        return library_features(library, count=self.count, active=self.active, words=words)


@command
def features(
    library: Folder,
    show: Annotated[int, typer.Option("--show", min=1, help="How many to list.")] = 20,
    sheet: Annotated[
        FilePath | None,
        typer.Option(
            "--sheet", help="An image: each feature's images, and what a decoder shows of it."
        ),
    ] = None,
    *,
    feature_options: FeatureOptions,
    model_options: ModelOptions,
    as_json: Json = False,
) -> None:
    """List features that a library teaches: directions, few of them in any image.

    The most used come first. A feature has a name if a word tells its images from all others.
    With --words the words of a file stand for features.

    Example: unclip features photos.lib --sheet features.png
    """
    from explorer.rendering import check_output

    if sheet is not None:
        check_output(sheet, video=False)
    kept = opened(library)
    found = feature_options.of(kept)
    listed, lines = _listed(kept, found, show)
    if sheet is not None:
        lines.append(_draw(sheet, kept, found, listed, model_options))
    report(listed, as_json, lines)


def _listed(
    library: "Library", features: "Features", show: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the most used features, and a line for each."""
    most = MAX_TOLD_ROWS if features.penalty else MAX_LISTED_ROWS
    drawn = np.sort(np.random.default_rng(0).permutation(len(library))[:most])
    activations = features.of(library.points(drawn))
    share = (activations > 0).mean(0)
    order = [int(i) for i in np.argsort(-share, kind="stable") if share[i] > 0][:show]
    items, labels = library.rows["item"].tolist(), _labels(library)
    listed, lines = [], [" no.   images  name                      strongest in"]
    for i in order:
        highest = np.argsort(-activations[:, i], kind="stable")[:SHOWN_IMAGES]
        rows = drawn[highest[activations[highest, i] > 0]].tolist()
        name = _name(features, i)
        listed.append({"feature": i, "name": name, "share": round(float(share[i]), 4),
                       "top": [items[row] for row in rows], "rows": rows})  # fmt: skip
        shown = "; ".join(labels[row] for row in rows)
        lines.append(f"{i:4}  {share[i]:6.1%}  {name or '-':24}  {shown}")
    return listed, lines


@command
def turn(
    library: Folder,
    start: Annotated[str, typer.Argument(help="An image, words, or an algebra of both.")],
    *,
    feature: Annotated[
        list[str],
        typer.Option("--feature", help="NAME=AMOUNT or NUMBER=AMOUNT; 2 to 4 shows most."),
    ],
    out: Out,
    feature_options: FeatureOptions,
    frames: Annotated[int, typer.Option("--frames", min=2, help="Number of frames.")] = 24,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second of a video.")] = 12,
    settings: Moving,
    model_options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Turn features of an image up or down, step by step.

    `unclip features` lists those of the library.

    Example: unclip turn photos.lib cat.png --feature 12=+3 -o turned.mp4
    """
    from explorer import edits
    from explorer.rendering import check_output

    check_output(out, video=True)
    turns = dict(_amount(each) for each in feature)
    kept = opened(library)
    found = feature_options.of(kept)
    model = _model(kept, model_options)
    rendering = edits.turn(
        model,
        start,
        found,
        turns,
        frames=frames,
        fps=fps,
        settings=read_options(settings, model),
    )
    save_path(rendering, out, kept, as_json)


def _lines(file: FilePath) -> list[str]:
    """Read the words of a file.

    Raises:
        QueryError: it cannot be read, or holds none.
    """
    remedy = "Give a text file with a word on each line."
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise QueryError(f"{file} cannot be read: {reason}. {remedy}") from error
    words = [line.strip() for line in lines if line.strip()]
    if not words:
        raise QueryError(f"{file} holds no words. {remedy}")
    return words


def _model(library: "Library", options: ModelOptions) -> "Model":
    """Load the model of a library, with the decoder that was asked for."""
    from explorer.models.shared.on_word import named_by
    from explorer.models.trust import check_named

    if options.model_name or options.decoders:
        model = options.open()
    else:
        by = f"The library {library.folder}"
        with named_by(by, library.space):
            model = replace(options, model_name=check_named(library.model, by)).open()
    remedy = f"The library {library.folder} was made with {library.model}."
    model.space.check(library.space, remedy)
    return model


def _labels(library: "Library") -> list[str]:
    """Return what each image is called: its caption, else its file's name."""
    from explorer.library.captions import label_of

    names = library.points().labels
    if "caption" not in library.columns:
        return list(names)
    return [label_of(c, n) for c, n in zip(library.rows["caption"], names, strict=True)]


def _name(features: "Features", place: int) -> str:
    return features.names[place] if features.names else ""


def _amount(text: str) -> tuple[int | str, float]:
    """Read NAME=AMOUNT.

    Raises:
        QueryError: it is of another form.
    """
    name, sign, amount = text.rpartition("=")
    try:
        return name, float(amount if sign else "")
    except ValueError:
        raise QueryError(f"{text!r} is not of the form NAME=AMOUNT, as cat=+2 or 12=-1.") from None


def _draw(
    file: FilePath,
    library: "Library",
    features: "Features",
    listed: list[dict[str, Any]],
    options: ModelOptions,
) -> str:
    """Write a row for each feature: its images, then one image with the feature turned up."""
    from PIL import Image

    from explorer.images import grid, save_image
    from explorer.library.sheet import TILE, thumbnail
    from explorer.points import Points

    model = _model(library, options)
    points, items = library.points(), library.rows["item"].tolist()
    middle = int((points.unit @ points.unit.mean(0)).argmax())
    tiles, labels = [], []
    amounts = AMOUNTS if model.decoder is not None else ()
    for place, rows in ((each["feature"], each["rows"]) for each in listed):
        missing = SHOWN_IMAGES - len(rows)
        tiles += [thumbnail(library.open_image, row, items[row]) for row in rows]
        tiles += [Image.new("RGB", (TILE, TILE), "white")] * missing
        labels += [_name(features, place) or f"feature {place}", *[""] * (SHOWN_IMAGES - 1)]
        if model.decoder is not None:
            turned = [features.edit(points[middle], {place: amount}) for amount in amounts]
            tiles += list(model.decoder.decode(Points.concat(turned)))
            labels += [f"{amount:+g}" for amount in amounts]
    columns = SHOWN_IMAGES + len(amounts)
    save_image(grid(tiles, columns=columns, labels=labels, size=TILE), file)
    if model.decoder is None:
        say(f"unclip: {model.name} has no decoder, so the sheet shows images only")
    return f"{file}: {len(listed)} features"
