"""`unclip verify`, `repair`, `moved`, `forget`, `compact`: looking after a library."""

import shlex
from dataclasses import asdict
from pathlib import Path as FilePath
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.options import Folder, Json
from explorer.cli.output import command, report
from explorer.notes import collecting
from explorer.places import is_published, shown

if TYPE_CHECKING:
    from explorer.library import Library

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

    Of a published one it counts the rows on the server; --read-data reads them all.
    Files of images that are no longer there are counted; that is no damage. Without --read-data it
    stops counting after 10 seconds.

    Example: unclip verify photos.lib --read-data
    """
    from explorer.errors import LibraryDamaged
    from explorer.library.presence import VERIFY_SECONDS

    kept = _opened(library)
    problems = kept.verify(read_data)
    files = None
    if not problems:
        try:
            files = kept.check_files(None if read_data else VERIFY_SECONDS)
        except LibraryDamaged as error:  # counting reads the rows
            problems = [str(error)]
    lines = [*problems, _remedy(library)]
    if not problems:
        lines = [f"{shown(library)}: nothing is damaged."]
    if not read_data:
        lines.append(_unread(library))
    if files is not None and files.files:
        lines.append(f"Files of its images: {files}.")
    counted = None if files is None else asdict(files)
    value = {"damage": problems, "contents_were_read": read_data, "files": counted}
    report(value, as_json, lines)
    if problems:
        raise typer.Exit(DAMAGED)


def _remedy(library: FilePath) -> str:
    """Say what to type where something is damaged."""
    if is_published(library):
        return f"To send what is missing: unclip publish LIBRARY --to {shown(library)}"
    return f"To set it aside: unclip repair {quote(str(library))}"


def _unread(library: FilePath) -> str:
    """Say what was not read."""
    if is_published(library):
        return "Its rows were counted: --read-data reads them all."
    return (
        "Files that did not change since their last full check, at most 30 days ago, were not "
        "read: --read-data reads all."
    )


@command
def repair(library: Folder, as_json: Json = False) -> None:
    """Set aside what is damaged in a library, in its folder quarantine; nothing is deleted.

    Example: unclip repair photos.lib
    """
    kept = _opened(library)
    done = kept.repair()
    lines = done or [f"{library}: nothing is damaged."]
    if done:
        lines = [*lines, *_again(kept.sources, library)]
    report({"set_aside": done, "sources": list(kept.sources)}, as_json, lines)


def _opened(folder: FilePath) -> "Library":
    """Open a library; what is damaged is the command's own output, and no warning."""
    from explorer.library import Library

    with collecting():
        return Library.open(folder)


def _again(sources: dict[str, str], library: FilePath) -> list[str]:
    return [
        "To bring back what was lost, with the options that you gave then:",
        *(
            f"  unclip {'import' if kind == 'vectors' else 'index'} {quote(source)} "
            f"--library {quote(str(library))}"
            for source, kind in sources.items()
        ),
    ]


@command
def forget(
    library: Folder,
    source: Annotated[str, typer.Argument(help="A folder, tar, table or file that was indexed.")],
    as_json: Json = False,
) -> None:
    """Remove the rows of a source from a library; the images themselves are not touched.

    Example: unclip forget photos.lib ~/Pictures
    """
    from explorer.library import Library

    kept = Library.open(library)
    count = kept.forget(source)
    lines = [f"removed from {library}: {count:,} rows of {source}; left: {len(kept):,}"]
    report({"removed": count, "rows": len(kept)}, as_json, lines)


@command
def moved(
    library: Folder,
    old: Annotated[str, typer.Argument(help="Where the images were: a folder, tar or file.")],
    new: Annotated[str, typer.Argument(help="Where they are now.")],
    dry: Annotated[bool, typer.Option("--dry", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Tell a library that images lie elsewhere now; nothing is embedded again.

    Columns, captions and vectors stay. It is refused if none of the files is in the new place.

    Example: unclip moved photos.lib ~/Pictures /media/disk/Pictures
    """
    from explorer.library import Library

    done = Library.open(library).moved(old, new, dry=dry)
    lines = str(done).splitlines()
    again = shlex.join(["unclip", "index", done.new, "--library", str(library)])
    lines.append("nothing was changed: --dry" if dry else f"  To look for changes there: {again}")
    report({**asdict(done), "dry": dry}, as_json, lines)


@command
def compact(library: Folder, as_json: Json = False) -> None:
    """Store a library in few large files instead of many small ones.

    Rows that were replaced, removed or forgotten are dropped; all else stays as it is.

    Example: unclip compact photos.lib
    """
    from explorer.library import Library

    done = Library.open(library).compact()
    first, *rest = str(done).splitlines()
    report(asdict(done), as_json, [f"{library}: {first}", *rest])
