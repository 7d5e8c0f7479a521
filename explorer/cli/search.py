"""The command search: the images of a library nearest to a query."""

from pathlib import Path as FilePath
from typing import Annotated, Any

import typer

from explorer.cli.options import Folder, Json, opened
from explorer.cli.output import command, report


@command
def search(
    library: Folder,
    query: Annotated[
        list[str], typer.Argument(help='Words, images and signs: "2:cat" + ./dog.png - "night"')
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="Number of images.")] = 12,
    where: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE; with several values of one column, any of them."),
    ] = None,
    sheet: Annotated[
        FilePath | None, typer.Option(help="Write the images found as one image.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the images nearest to a query.

    Example: unclip search photos.lib "2:cat" + ./dog.png - "night" --sheet hits.png
    """
    from explorer.models import load
    from explorer.models.shared.blindness import note_unlike
    from explorer.query import Query
    from explorer.rendering import check_output

    if sheet is not None:
        check_output(sheet, video=False)
    kept, parsed, wanted = opened(library), Query.parse(query), conditions(where or [])
    model = load(kept.model)
    point = parsed.points(model.encoder)
    note_unlike(model.support, point)
    hits = kept.search(point, k, where=wanted)
    if sheet is not None:
        hits.save(sheet)
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
            raise QueryError(f"--where {pair!r} is not of the form COLUMN=VALUE.")
        found.setdefault(name, []).append(value)
    return found


def _columns(hit: dict[str, Any]) -> str:
    own = ("rank", "score", "item", "row")
    shown = [str(value) for name, value in hit.items() if name not in own and value is not None]
    return "  (" + "; ".join(shown) + ")" if shown else ""
