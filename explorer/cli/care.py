"""`unclip verify`, `repair` and `forget`: looking after a library."""

from pathlib import Path as FilePath
from shlex import quote
from typing import Annotated

import typer

from explorer.cli.options import Folder, Json
from explorer.cli.output import command, report

DAMAGED = 1  # exit code


@command
def verify(
    library: Folder,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Read all files and compare their checksums.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List what is damaged in a library; exit code 1 if anything is.

    Example: unclip verify photos.lib --read-data
    """
    from explorer.library import Library

    problems = Library.open(library).verify(read_data)
    lines = [*problems, f"To set it aside: unclip repair {quote(str(library))}"] if problems else []
    if not problems:
        lines = [f"{library}: nothing is damaged."]
    if not read_data:
        lines.append("The files' contents were not read: --read-data does that.")
    report({"damage": problems, "contents_were_read": read_data}, as_json, lines)
    if problems:
        raise typer.Exit(DAMAGED)


@command
def repair(library: Folder, as_json: Json = False) -> None:
    """Set aside what is damaged in a library, in its folder quarantine; nothing is deleted.

    Example: unclip repair photos.lib
    """
    from explorer.library import Library

    kept = Library.open(library)
    done = kept.repair()
    sources = list(kept.info()["sources"])  # not before: it reads the rows
    lines = done or [f"{library}: nothing is damaged."]
    if done:
        lines = [*lines, *_again(sources, library)]
    report({"set_aside": done, "sources": sources}, as_json, lines)


def _again(sources: list[str], library: FilePath) -> list[str]:
    place = quote(str(library))
    return [
        "To embed again what was lost, add the sources again, with the options of then; vectors "
        "come back by `unclip import`:",
        *(f"  unclip index {quote(source)} --library {place}" for source in sources),
    ]


@command
def forget(
    library: Folder,
    source: Annotated[str, typer.Argument(help="A folder, tar, table or file that was indexed.")],
    as_json: Json = False,
) -> None:
    """Remove the rows of a source from a library; the images themselves are not touched.

    Example: unclip forget photos.lib ~/Pictures/2019
    """
    from explorer.library import Library

    kept = Library.open(library)
    count = kept.forget(source)
    left = f"{len(kept):,} are left."
    lines = [f"{count:,} rows of {source} were removed from {library}; {left}"]
    report({"removed": count, "rows": len(kept)}, as_json, lines)
