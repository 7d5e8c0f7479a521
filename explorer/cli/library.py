"""Commands about libraries: index, info, export."""

import re
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.adding import add, prepare_search
from explorer.cli.engine import EMBEDDING_LOCAL, EmbeddingOptions
from explorer.cli.library_option import is_library
from explorer.cli.opening import open_or_create
from explorer.cli.options import Folder, Json, Memory, NewFolder, Trust, opened, trust_folders
from explorer.cli.output import command, plain, report
from explorer.errors import QueryError
from explorer.notes import counted

if TYPE_CHECKING:
    from explorer.library import Library
    from explorer.library.adding import AddOptions


@dataclass(frozen=True)
class Reading:
    """What is read of the sources, and how."""

    columns: Annotated[
        FilePath | None,
        typer.Option(help="A CSV, Parquet or JSONL with captions and other columns."),
    ] = None
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read images; default: all cores.")
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="Leave out names or paths like this; may be repeated."),
    ] = None
    every: Annotated[
        str | None,
        typer.Option(help="Index videos, a frame each so long: 2s, 500ms, 1m."),
    ] = None
    max_megapixels: Annotated[
        float | None,
        typer.Option(
            help="Refuse larger images, or over 4 MB each of memory; default: 128, 485 MB."
        ),
    ] = None

    def settings(self) -> "AddOptions":
        """Return them as `Library.add` takes them."""
        return {
            "workers": self.workers,
            "exclude": tuple(self.exclude or ()),
            "every": None if self.every is None else seconds(self.every),
            "max_megapixels": self.max_megapixels,
        }

    def typed(self, words: list[str]) -> str:
        """Return a command with these options added as they were typed, quoted for a shell."""
        for name, value in vars(self).items():
            values = value if isinstance(value, list) else [] if value is None else [value]
            for each in values:
                words = [*words, f"--{name.replace('_', '-')}", str(each)]
        return shlex.join(words)


READING = Reading()


@command
def index(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders, images, videos, webdataset tars, or tables of files, URLs or images."
        ),
    ],
    library: NewFolder,
    model: Annotated[
        str | None,
        typer.Option(help="The model of a new library; default: a CLIP of photographs."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="A folder with the weights of --model, fetched before.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store a new library as float16.")] = False,
    how: Reading = READING,
    where: EmbeddingOptions = EMBEDDING_LOCAL,
    memory: Memory = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Index images: create a library, or bring it up to date.

    Images that did not change are not embedded again.

    Examples: unclip index ~/Pictures --library photos.lib
    · UNCLIP_LIBRARY=photos.lib unclip index ~/Pictures
    · unclip index /shared/photos --library /shared/photos.lib --engine ray --address auto
    """
    trust_folders(trust)
    engine = where.build(memory)
    for each in filter(is_library, sources):
        raise QueryError(f"{each} is a library, no source of images: name it with --library.")
    again = how.typed(["unclip", "index", *sources, "--library", str(library)] + ["--half"] * half)
    kept = open_or_create(library, model, source, half, again, memory)
    summary = add(kept, sources, how.columns, **how.settings() | {"engine": engine})
    prepare_search(kept)
    kept.note_unlike()
    report(summary, as_json, summary_lines(kept, summary))


def seconds(text: str) -> float:
    """Read a length of time: 2s, 0.5s, 500ms, 1m, 2.

    Raises:
        QueryError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|min)?", text.strip())
    value = float(found[1]) * {"ms": 0.001, "m": 60, "min": 60}.get(found[2], 1) if found else 0
    if value < 0.001:
        raise QueryError(f"--every {text!r} is not a length of time; use one like 2s or 500ms.")
    return value


def summary_lines(library: "Library", summary: dict[str, Any], most: int = 20) -> list[str]:
    """Return what `add` did, and what it could not read, in words."""
    lines = [
        f"{summary['library']}: {counted(summary['images'])} "
        f"({summary['embedded']:,} embedded, {summary['unchanged']:,} unchanged, "
        f"{summary['removed']:,} removed, {summary['failed']:,} unreadable)"
    ]
    lines += counted_lines(summary["left_out"], summary["excluded"])
    errors = summary["errors"]
    lines += [_failure(error) for error in errors[:most]]
    if len(errors) > most:
        lines.append(
            f"  … and {len(errors) - most:,} more: unclip info {summary['library']} --errors"
        )
    return lines + [f"  note: {warning}" for warning in library.warnings]


def counted_lines(left_out: dict[str, int], excluded: dict[str, int]) -> list[str]:
    """Return what was not read, by suffix, and what was passed over, by pattern, in words."""
    from explorer.images.formats import remedy

    lines = []
    if left_out:
        each = (
            f"{files} {suffix}" + (f" — {remedy(suffix)}" if remedy(suffix) else "")
            for suffix, files in left_out.items()
        )
        lines.append(f"  left out: {', '.join(each)}")
    if excluded:
        names = (f"{count} {pattern}" for pattern, count in excluded.items())
        lines.append(f"  excluded: {', '.join(names)}")
    return lines


@command
def info(
    library: Folder,
    errors: Annotated[
        bool, typer.Option("--errors", help="List all that could not be read.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show library statistics.

    Files that are no longer there are counted for at most 2 seconds; a sample then, which it says.

    Example: unclip info photos.lib --errors
    """
    from explorer.library import Library
    from explorer.library.presence import INFO_SECONDS

    kept = Library.open(library)
    kept.note_unlike()
    files = kept.check_files(INFO_SECONDS)
    value = (
        kept.info()
        | {"files": asdict(files)}
        | ({"unreadable": kept.errors.to_dict("records")} if errors else {})
    )
    lines = info_lines(value)
    lines += [f"files: {files}"] if files.files else []
    lines += [line.strip() for line in counted_lines(kept.left_out, {})]
    lines += [_failure(error) for error in value.get("unreadable", [])]
    report(value, as_json, lines)


def info_lines(value: dict[str, Any]) -> list[str]:
    """Return what `Library.info` says, in words."""
    lines = [
        f"{value['folder']}: {counted(value['rows'])} in {value['dimension']:,} dimensions, "
        f"by {value['model']}",
        f"images of: {plain(value['sources'])}",
    ]
    if value["columns"]:
        lines.append(f"columns: {plain(value['columns'])}")
    if value["side"] != "image":
        lines.append(f"side: {value['side']}")
    if value["unit_vectors_from"]:
        lines.append(f"vectors of length 1 from: {plain(value['unit_vectors_from'])}")
    if value["errors"]:
        lines.append(
            f"not read: {value['errors']:,}; they are listed by unclip info "
            f"{shlex.quote(value['folder'])} --errors"
        )
    recall, size = value["index_recall"], value["index_bytes"]
    index = value["index"] if recall is None else f"{value['index']}, recall {recall}"
    lines += [
        f"search: {index}" + ("" if size is None else f", {size / 1e6:,.1f} MB"),
        f"vectors: {value['bytes'] / 1e6:,.1f} MB of {value['dtype']}",
        f"version: {value['version']}; segments: {value['segments']}; rows retired: "
        f"{value['retired']:,}; versions kept: {plain(value['versions'])}",
        f"made: {value['created']}",
        f"space: {value['space']}, fingerprint {value['fingerprint']}",
    ]
    return lines + [f"note: {warning}" for warning in value["warnings"]]


@command
def export(
    library: Folder,
    out: Annotated[
        FilePath, typer.Option("-o", "--out", help=".npy (vectors) or .parquet (and all columns).")
    ],
    as_json: Json = False,
) -> None:
    """Write a library's raw vectors for other tools.

    Example: unclip export photos.lib -o vectors.parquet
    """
    from explorer.cli.vectors import write_vectors

    kept = opened(library)
    write_vectors(kept, out)
    value = {"file": str(out), "rows": len(kept), "dimension": kept.space.dimension}
    report(value, as_json, [f"{out}: {len(kept)} × {kept.space.dimension} raw vectors"])


def _failure(error: dict[str, str]) -> str:
    item, reason = error["item"], error["reason"]
    return f"  {reason}" if reason.startswith(item) else f"  {item}: {reason}"
