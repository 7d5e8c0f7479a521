"""The command publish: a library on a Milvus server."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.options import Folder, Json, opened
from explorer.cli.output import command, progress_bar, report
from explorer.notes import counted

if TYPE_CHECKING:
    from explorer.scale.publishing import Published


@command
def publish(
    library: Folder,
    to: Annotated[
        str,
        typer.Option("--to", help="milvus://HOST:PORT/NAME, or milvus://FILE.db/NAME."),
    ],
    thumbnail_side: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1024,
            help="Pixels of the small images sent along; 0: none; default: as before, or 192.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish a library to Milvus, for search by many readers.

    Readers go over to the new version at the end, all at once. An interrupted publication goes on
    with the same command. The address stands for a library in every command that only reads one.
    MILVUS_TOKEN in the environment gives a token, or user:password.

    Example: unclip publish photos.lib --to milvus://localhost/photos
    """
    from explorer.scale.publishing import publish as publish_rows

    kept = opened(library)
    last = None
    with progress_bar() as bar, closing(publish_rows(kept, to, thumbnail_side=thumbnail_side)) as s:
        task = bar.add_task("publishing", total=len(kept))
        for last in s:
            bar.update(task, completed=last.done)
    assert last is not None
    value = {"library": str(kept.folder), "to": to, "rows": last.total} | {
        "collection": last.collection, "recall": last.recall, "milliseconds": last.milliseconds
    }  # fmt: skip
    report(value, as_json, _lines(to, last))


def _lines(to: str, last: "Published") -> list[str]:
    lines = [f"{to}: {counted(last.total)} published, as {last.collection}"]
    if last.recall is None:
        return [*lines, "  recall: not measured, since the library has few images"]
    each = ", ".join(f"{share:.1%} ({kind})" for kind, share in last.recall.items())
    return [*lines, f"  recall@10 against exact search: {each}; {last.milliseconds:.1f} ms a query"]
