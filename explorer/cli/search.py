"""The command search: the images of a library nearest to a query."""

import base64
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.lines import answer_lines
from explorer.cli.options import Folder, Json, Trust, opened, trust_folders
from explorer.cli.output import command, report, say, waiting
from explorer.cli.showing import open_files, preview_lines, print_files

if TYPE_CHECKING:
    from explorer.library import Hits, Library
    from explorer.points import Points
    from explorer.query import Query

NOTHING_FOUND = 1  # exit code
OWN = ("rank", "score", "item", "row")  # of a hit


@dataclass(frozen=True)
class Showing:
    """What becomes of the hits."""

    sheet: Annotated[FilePath | None, typer.Option(help="Write the images found as one image.")] = (
        None
    )
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Print nothing but the files, one a line.")
    ] = False
    null: Annotated[
        bool, typer.Option("-0", "--null", help="Print the files' exact names, for xargs -0.")
    ] = False
    preview: Annotated[bool, typer.Option("--preview", help="Show the images in the terminal.")] = (
        False
    )
    open_found: Annotated[
        bool, typer.Option("--open", help="Open the sheet, or the files found.")
    ] = False

    @property
    def names_only(self) -> bool:
        """Whether only files are printed, for other programs."""
        return self.files_only or self.null

    def check(self, as_json: bool, one: bool) -> None:
        """Refuse what does not go together.

        Args:
            one: there is one query, not one a line.

        Raises:
            QueryError: as it says; or the sheet is not named as an image.
        """
        from explorer.errors import QueryError
        from explorer.rendering import check_output

        if self.sheet is not None:
            check_output(self.sheet, video=False)
        if self.sheet is not None and not one:
            raise QueryError("--sheet shows the images of one query: give words or an image.")
        if as_json and (self.names_only or self.preview):
            raise QueryError("--json stands alone: leave --files-only, -0 and --preview out.")


NO_SHOWING = Showing()


@dataclass(frozen=True)
class Wanted:
    """Which images are found."""

    k: Annotated[int, typer.Option("-k", min=1, help="Number of images.")] = 12
    where: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE; with several values of one column, any of them."),
    ] = None
    min_score: Annotated[
        str | None,
        typer.Option("--min-score", help="Lowest score: a cosine, or auto for what matches."),
    ] = None
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare all images, of a large library too.")
    ] = False

    def options(self) -> dict[str, Any]:
        """Return what `Library.search` takes beside a query."""
        lowest = _lowest(self.min_score)
        where, index = conditions(self.where or []), "exact" if self.exact else "auto"
        return {"k": self.k, "where": where, "min_score": lowest, "index": index}


@command
def search(
    library: Folder,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            help='Words, images and signs: "2:cat" + ./dog.png - "night"; or a vector in an .npy. '
            "Without one, queries are read from stdin, one a line."
        ),
    ] = None,
    *,
    wanted: Wanted,
    how: Showing = NO_SHOWING,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Find the images nearest to a query; exit code 1 if there is none.

    Examples: unclip search photos.lib "2:cat" + ./dog.png - "night" --sheet hits.png
    · unclip search -l photos.lib "a dog" · unclip search photos.lib < queries.txt
    """
    trust_folders(trust)
    how.check(as_json, one=bool(query))
    options, kept = wanted.options(), opened(library)
    if not len(kept):
        kept.points()  # says what to type

    def answer(words: list[str]) -> None:
        with waiting("searching"):  # seconds, where a model is loaded or an index built first
            hits = kept.search(_read(words, kept), **options)
        try:
            _show(hits, how, as_json)
        finally:
            if hits.missing.any():
                say(f"unclip: {_missing(hits, library, left_out=how.names_only)}", sys.stderr)

    if query:
        answer(query)
    else:
        answer_lines(answer, apart=not (as_json or how.names_only))


def _show(hits: "Hits", how: Showing, as_json: bool) -> None:
    files = _files(hits) if how.names_only or (how.open_found and how.sheet is None) else []
    if len(hits) and how.sheet is not None:
        hits.save(how.sheet)
    if how.names_only:
        print_files(files, b"\0" if how.null else b"\n")
    elif how.preview:
        from explorer.library.sheet import thumbnail

        for position, hit in enumerate(hits):
            say(_line(hit, hits.missing[position]))
            row, name = int(hits.rows[position]), hits.items[position]
            print(preview_lines(thumbnail(hits.open_image, row, name)))
    else:
        report(records(hits), as_json, map(_line, hits, hits.missing))
    verdict = hits.verdict or ("" if len(hits) else "nothing was found")
    if verdict:
        say(verdict, sys.stderr if how.names_only or as_json else None)
    if not len(hits) or (how.names_only and not files):
        raise typer.Exit(NOTHING_FOUND)
    if how.open_found:
        open_files([os.fsencode(how.sheet)] if how.sheet is not None else files)


def _missing(hits: "Hits", library: FilePath, left_out: bool) -> str:
    """Say how many files are no longer there, and what to type."""
    count, verb = int(hits.missing.sum()), "is" if hits.missing.sum() == 1 else "are"
    source = str(hits.arrow.column("source")[int(hits.missing.argmax())])
    place, name = shlex.quote(str(library)), shlex.quote(source)
    gone = (
        f"unclip index {name} --library {place}"
        if os.path.exists(source)
        else f"unclip forget {place} {name}"
    )
    old = "OLD" if os.path.exists(source) else name
    return (
        f"{count:,} of these {len(hits):,} files {verb} no longer there"
        f"{f', and {verb} left out' if left_out else ''}. If they moved: "
        f"unclip moved {place} {old} NEW; if they are gone: {gone}"
    )


def _read(words: list[str], library: "Library") -> "Query | Points":
    """Read a query, or the vector of a file.

    Raises:
        QueryError: it cannot be read, or the file holds several vectors.
    """
    from explorer.cli.vectors import read_vectors
    from explorer.errors import QueryError
    from explorer.query import Query

    if len(words) > 1 or not words[0].endswith((".npy", ".parquet")):
        return Query.parse(words)
    vectors = read_vectors(FilePath(words[0]), library.space)
    if len(vectors) > 1:
        raise QueryError(
            f"{words[0]} holds {len(vectors)} vectors, but a search takes one: write it to a "
            "file of its own."
        )
    return vectors


def _lowest(text: str | None) -> Any:
    """Read --min-score.

    Raises:
        QueryError: it is neither auto nor a cosine.
    """
    from explorer.errors import QueryError

    if text is None or text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = 2.0
    if not -1 <= value <= 1:
        raise QueryError(f"--min-score {text!r} is neither auto nor a cosine from -1 to 1.")
    return value


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


def records(hits: "Hits") -> list[dict[str, Any]]:
    """Return the hits for JSON, each with the exact name of its file.

    `path` is the name as Python decodes it (`os.fsdecode`): a byte that is not UTF-8 becomes
    U+DC80 to U+DCFF. Such a name comes as `path_base64` too, its bytes in base64. `missing` says
    whether the file is no longer there.
    """
    found = []
    columns = *_names(hits), hits.missing.tolist()
    for hit, path, member, missing in zip(hits, *columns, strict=True):
        names: dict[str, Any] = {"path": os.fsdecode(path), "missing": missing}
        if not _is_utf8(path):
            names["path_base64"] = base64.b64encode(path).decode()
        if member:
            names["member"] = os.fsdecode(member)
        users = {name: value for name, value in hit.items() if name not in OWN}
        found.append({name: hit[name] for name in OWN} | names | users)
    return found


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _files(hits: "Hits") -> list[bytes]:
    """Return the files that are there; those within tars are none, and are counted on stderr."""
    paths, members = _names(hits)
    in_tars = sum(map(bool, members))
    if in_tars:
        say(f"unclip: {in_tars} of the images lie in tars, and are left out", sys.stderr)
    gone = hits.missing.tolist()
    named = zip(paths, members, gone, strict=True)
    return [path for path, member, missing in named if not member and not missing]


def _names(hits: "Hits") -> tuple[list[bytes], list[bytes]]:
    """Return the files of the hits, and the names within those that are tars."""
    return hits.arrow.column("path").to_pylist(), hits.arrow.column("member").to_pylist()


def _line(hit: dict[str, Any], missing: bool = False) -> str:
    shown = [
        _shown(name, value) for name, value in hit.items() if name not in OWN and value is not None
    ]
    columns = "  (" + "; ".join(shown) + ")" if shown else ""
    gone = "  — no longer there" if missing else ""
    return f"{hit['score']:.3f}  {hit['item']}{columns}{gone}"


def _shown(name: str, value: Any) -> str:
    """Say a value of a column; a number says little without the column's name."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
    return str(value)
