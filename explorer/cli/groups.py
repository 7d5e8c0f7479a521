"""Commands about groups of images: duplicates, cluster, probe."""

import os
import sys
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.options import Folder, Json, opened
from explorer.cli.output import command, report, say
from explorer.errors import QueryError
from explorer.notes import counted

if TYPE_CHECKING:
    from explorer.groups import Duplicates
    from explorer.library import Library


@command
def duplicates(
    library: Folder,
    threshold: Annotated[
        float | None,
        typer.Option(help="Least cosine of duplicates; default: found from the library."),
    ] = None,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Print only the files that need not be kept.")
    ] = False,
    null: Annotated[
        bool, typer.Option("-0", "--null", help="Print those files' exact names, for xargs -0.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find images that are nearly the same, and which of each group to keep.

    Nothing is deleted.

    Example: unclip duplicates photos.lib --files-only
    """
    from explorer.groups import duplicate_threshold, find_duplicates

    if as_json and (files_only or null):
        raise QueryError("--json stands alone: leave --files-only and -0 out.")
    kept = opened(library)
    least = duplicate_threshold(kept) if threshold is None else threshold
    groups = find_duplicates(kept, least)
    items = kept.rows["item"].tolist()
    if files_only or null:
        _print_files(kept, [row for group in groups for row in group.others], null)
        return
    value = {"threshold": least, "groups": [_as_json(group, items) for group in groups]}
    report(value, as_json, _lines(groups, items, least))


def _as_json(group: "Duplicates", items: list[str]) -> dict[str, Any]:
    pairs = zip(group.others, group.cosines, strict=True)
    return {
        "keep": {"item": items[group.keep], "row": group.keep},
        "others": [
            {"item": items[row], "row": row, "cosine": round(cosine, 6)} for row, cosine in pairs
        ],
    }


def _lines(groups: "list[Duplicates]", items: list[str], least: float) -> list[str]:
    if not groups:
        return [f"No two images have a cosine of {least:.4f} or more."]
    lines = []
    for group in groups:
        lines.append(f"keep  {items[group.keep]}")
        pairs = zip(group.others, group.cosines, strict=True)
        lines += [f"      {items[row]}  {cosine:.4f}" for row, cosine in pairs]
    others = sum(len(group.others) for group in groups)
    told = f"{counted(len(groups), 'group')}, {counted(others)}"
    return [*lines, f"{told} not kept; cosine {least:.4f} or more"]


def _print_files(library: "Library", rows: list[int], null: bool) -> None:
    """Print the exact names of files; those inside tars are counted on stderr."""
    table = library.rows.iloc[rows]
    end = b"\0" if null else os.linesep.encode()
    inside = 0
    sys.stdout.flush()
    for name, member in zip(table["path"], table["member"], strict=True):
        inside += bool(member)
        if not member:
            sys.stdout.buffer.write(name + end)
    sys.stdout.buffer.flush()
    if inside:
        say(f"unclip: {inside} duplicates are inside tars and are not listed", sys.stderr)


@command
def cluster(
    library: Folder,
    clusters: Annotated[
        int | None, typer.Option(min=2, help="Number of clusters; default: the best of 2 to 48.")
    ] = None,
    column: Annotated[
        str, typer.Option(help="Column for the numbers; the names go to COLUMN_name.")
    ] = "cluster",
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Group the images, name the groups, and keep both as columns of the library.

    Example: unclip cluster photos.lib --clusters 20
    """
    from explorer.groups import cluster as clusters_of
    from explorer.regions import region_names

    kept = opened(library)
    labels = clusters_of(kept, clusters, seed=seed)
    names = region_names(kept, labels)
    words = {label: name.words if name else None for label, name in names.items()}
    kept.set_columns({column: labels, f"{column}_name": [words[int(label)] for label in labels]})
    found: list[dict[str, Any]] = []
    for label in range(len(names)):
        name, size = names[label], int((labels == label).sum())
        auc = round(name.auc, 3) if name else None
        found.append({"cluster": label, "name": words[label], "images": size, "auc": auc})
    lines = [
        f"{entry['cluster']:4}  {entry['images']:7,} images  {entry['name'] or 'no name'}"
        for entry in found
    ]
    report(
        {"column": column, "clusters": found},
        as_json,
        [*lines, f"kept as the columns {column} and {column}_name"],
    )


@command
def probe(
    library: Folder,
    positive: Annotated[list[FilePath], typer.Option(help="An image that shows it; two or more.")],
    negative: Annotated[list[FilePath], typer.Option(help="An image that does not; two or more.")],
    column: Annotated[str, typer.Option(help="Column for the scores, 0 to 1.")] = "probe",
    as_json: Json = False,
) -> None:
    """Score every image by a few examples (linear probe), and keep the scores as a column.

    Example: unclip probe photos.lib --positive a.jpg --positive b.jpg --negative c.jpg
    --negative d.jpg
    """
    from explorer.groups import probe as fit

    kept = opened(library)
    found = fit(kept, positive, negative)
    kept.set_columns({column: found.scores})
    best = (-found.scores).argsort(kind="stable")[:12].tolist()
    items = kept.rows["item"]
    hits = [{"score": float(found.scores[r]), "item": items.iloc[r], "row": r} for r in best]
    value = {"column": column, "accuracy": found.accuracy, "folds": found.folds, "best": hits}
    alone = found.folds == len(positive) + len(negative)
    way = "left out one by one" if alone else f"left out in {found.folds} parts"
    lines = [f"{hit['score']:.3f}  {hit['item']}" for hit in hits]
    lines.append(f"accuracy {found.accuracy:.0%} on examples {way} (chance: 50%)")
    report(value, as_json, [*lines, f"kept as the column {column}"])
