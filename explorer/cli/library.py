"""Commands about libraries: index, search, map, info, export."""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.output import command, plain, progress, report

if TYPE_CHECKING:
    from explorer.library import Library

Folder = Annotated[FilePath, typer.Argument(help="A library's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]


@command
def index(
    sources: Annotated[
        list[str], typer.Argument(help="Folders, images, webdataset tars or tables of files.")
    ],
    library: Annotated[FilePath, typer.Option("--library", help="The library; made if new.")],
    model: Annotated[str, typer.Option(help="The model of a new library.")] = "pocket",
    columns: Annotated[
        FilePath | None, typer.Option(help="A CSV, Parquet or JSONL with captions and the like.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store a new library as float16.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read images; default: all cores.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring a library up to date with your images.

    What did not change is not embedded again.

    Example: unclip index ~/Pictures --library photos.lib
    """
    from explorer.errors import LibraryNotFound
    from explorer.library import Library
    from explorer.models import load

    try:
        kept = Library.open(library)
        encoder = load(kept.model).encoder
    except LibraryNotFound:
        loaded = load(model)
        encoder = loaded.encoder
        dtype: Any = "float16" if half else "float32"
        kept = Library.create(library, loaded.space, dtype=dtype, model=loaded.name)
    summary = add(kept, sources, encoder, columns, workers)
    report(summary, as_json, summary_lines(kept, summary))


def add(
    library: "Library",
    sources: Any,
    encoder: Any,
    columns: FilePath | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Run `Library.add` under a progress bar and count what it did."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    before, last = len(library), None
    look = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*look, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading images", total=None)
        for last in library.add(sources, encoder, columns=columns, workers=workers):
            bar.update(task, completed=last.done, total=last.total)
    counted = ("embedded", "unchanged", "failed", "removed")
    return {
        "library": str(library.folder),
        **{name: getattr(last, name, 0) for name in counted},
        "images": len(library),
        "before": before,
        "errors": library.errors.to_dict("records"),
    }


def summary_lines(library: "Library", summary: dict[str, Any], most: int = 20) -> list[str]:
    """Say what `add` did, and what it could not read."""
    lines = [
        f"{summary['library']}: {summary['images']} images "
        f"({summary['embedded']} embedded, {summary['unchanged']} unchanged, "
        f"{summary['removed']} removed, {summary['failed']} unreadable)"
    ]
    errors = summary["errors"]
    lines += [_failure(error) for error in errors[:most]]
    if len(errors) > most:
        lines.append(
            f"  … and {len(errors) - most} more: unclip info {summary['library']} --errors"
        )
    return lines + [f"  note: {warning}" for warning in library.warnings]


@command
def search(
    library: Folder,
    query: Annotated[
        list[str], typer.Argument(help='Words, images and signs: "2:cat" + ./dog.png - "night"')
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="How many images.")] = 12,
    where: Annotated[
        list[str] | None, typer.Option(help="column=value; several values of one column are or-ed.")
    ] = None,
    sheet: Annotated[
        FilePath | None, typer.Option(help="Write the images found as one image.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the images nearest to a query.

    Example: unclip search photos.lib "2:cat" + ./dog.png - "night" --sheet hits.png
    """
    from explorer.library import Library
    from explorer.library.sheet import write_sheet
    from explorer.models import load
    from explorer.query import Query
    from explorer.rendering import check_output

    if sheet is not None:
        check_output(sheet, video=False)
    kept, parsed, wanted = Library.open(library), Query.parse(query), conditions(where or [])
    encoder = load(kept.model).encoder
    hits = kept.search(parsed.points(encoder), k, where=wanted)
    if sheet is not None:
        write_sheet(kept, hits, sheet)
    lines = [f"{hit['score']:.3f}  {hit['item']}{_columns(hit)}" for hit in hits]
    note = [f"note: {hits.note}"] if hits.note else []
    report(list(hits), as_json, [*lines, *note])


def conditions(where: list[str]) -> dict[str, list[str]]:
    """Read column=value pairs.

    Raises:
        QueryError: one has no "=".
    """
    from explorer.errors import QueryError

    found: dict[str, list[str]] = {}
    for pair in where:
        name, sign, value = pair.partition("=")
        if not sign:
            raise QueryError(f"--where {pair!r} is not of the form column=value.")
        found.setdefault(name, []).append(value)
    return found


@command
def map_command(
    library: Folder,
    out: Annotated[
        FilePath, typer.Option("-o", "--out", help="A .html page, .png image or .parquet table.")
    ],
    colour: Annotated[str | None, typer.Option(help="The column that colours the points.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another map.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw the map of a library (UMAP).

    Example: unclip map photos.lib -o map.html
    """
    from explorer.cli.maps import write_map
    from explorer.library import Library
    from explorer.projection import Projection

    kept = Library.open(library)
    fitted = progress([None], None, "laying out the map")
    for _ in fitted:
        projection = Projection.cached(kept.cache_folder, kept.points(), seed=seed)
    write_map(kept, projection, out, colour=colour, title=kept.folder.name)
    value = {"file": str(out), "images": len(kept)}
    report(value, as_json, [f"{out}: a map of {len(kept)} images"])


@command
def info(
    library: Folder,
    errors: Annotated[
        bool, typer.Option("--errors", help="List everything that could not be read.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a library holds."""
    from explorer.library import Library

    kept = Library.open(library)
    value = kept.info() | ({"unreadable": kept.errors.to_dict("records")} if errors else {})
    lines = [f"{name}: {plain(content)}" for name, content in value.items() if name != "unreadable"]
    lines += [_failure(error) for error in value.get("unreadable", [])]
    report(value, as_json, lines + [f"note: {warning}" for warning in kept.warnings])


@command
def export(
    library: Folder,
    out: Annotated[
        FilePath, typer.Option("-o", "--out", help=".npy (vectors) or .parquet (and all columns).")
    ],
    as_json: Json = False,
) -> None:
    """Write a library's raw vectors for other tools."""
    from explorer.cli.vectors import write_vectors
    from explorer.library import Library

    kept = Library.open(library)
    write_vectors(kept, out)
    value = {"file": str(out), "rows": len(kept), "dimension": kept.space.dimension}
    report(value, as_json, [f"{out}: {len(kept)} × {kept.space.dimension} raw vectors"])


def _failure(error: dict[str, str]) -> str:
    item, reason = error["item"], error["reason"]
    return f"  {reason}" if reason.startswith(item) else f"  {item}: {reason}"


def _columns(hit: dict[str, Any]) -> str:
    own = ("rank", "score", "item", "row")
    shown = [str(value) for name, value in hit.items() if name not in own and value is not None]
    return "  (" + "; ".join(shown) + ")" if shown else ""
