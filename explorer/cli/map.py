"""The command map: the map of a library as a page, an image or a table."""

from pathlib import Path as FilePath
from typing import Annotated, Any

import typer

from explorer.cli.engine import LOCAL, EngineOptions
from explorer.cli.options import Folder, Json, opened
from explorer.cli.output import command, progress, report
from explorer.notes import counted


@command
def map_command(
    library: Folder,
    out: Annotated[
        FilePath, typer.Option("-o", "--out", help="A .html page, .png image or .parquet table.")
    ],
    colour: Annotated[str | None, typer.Option(help="Column that colours the points.")] = None,
    labels: Annotated[bool, typer.Option(help="Name the regions on a page.")] = True,
    seed: Annotated[int, typer.Option(help="Random seed of the layout.")] = 0,
    refit: Annotated[bool, typer.Option("--refit", help="Lay the map out again.")] = False,
    where: EngineOptions = LOCAL,
    as_json: Json = False,
) -> None:
    """Draw the map of a library (UMAP).

    When the library grows, what is on the map stays where it is; --refit lays it out again.
    With --engine ray, actors place what is beyond 30,000 images, and what is new.

    Example: unclip map photos.lib -o map.html
    """
    from explorer.cli.mappage import check_file, write_map
    from explorer.projection import Projection
    from explorer.regions.kept import map_crowds

    check_file(out)
    engine = where.build(None)
    how: dict[str, Any] = {"seed": seed, "refit": refit}
    how |= {"placing": engine.placing} if engine else {}
    kept = opened(library)
    fitted = progress([None], None, "laying out the map")
    for _ in fitted:
        projection = Projection.cached(kept.cache_folder, kept.points(), **how)
    named = labels and out.suffix.lower() == ".html"
    crowds = map_crowds(kept, projection.xy) if named else None
    name, warning = kept.folder.name, kept.unlike()
    write_map(kept, projection, out, colour=colour, title=name, crowds=crowds, warning=warning)
    regions = crowds.regions if crowds else []
    value = {"file": str(out), "images": len(kept), "regions": [each.words for each in regions]}
    report(value, as_json, [f"{out}: a map of {counted(len(kept))}"])
