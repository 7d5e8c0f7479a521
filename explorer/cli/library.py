"""Commands about libraries: index, info, export."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer

from explorer.cli.options import Folder, Json, Trust, opened, trust_folders
from explorer.cli.output import command, plain, report, say
from explorer.errors import QueryError

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
        typer.Option(help="Refuse larger images; default: 128, and 485 MB of memory."),
    ] = None

    def settings(self) -> "AddOptions":
        """Return them as `Library.add` takes them."""
        return {
            "workers": self.workers,
            "exclude": tuple(self.exclude or ()),
            "every": None if self.every is None else seconds(self.every),
            "max_megapixels": self.max_megapixels,
        }


READING = Reading()


@command
def index(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders, images, videos, webdataset tars, or tables of files, URLs or images."
        ),
    ],
    library: Annotated[
        FilePath, typer.Option("--library", help="The library; created if there is none.")
    ],
    model: Annotated[
        str | None,
        typer.Option(help="The model of a new library; default: a CLIP of photographs."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="A folder with the weights of --model, fetched before.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store a new library as float16.")] = False,
    how: Reading = READING,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Index images: create a library, or bring it up to date.

    Images that did not change are not embedded again.

    Example: unclip index ~/Pictures --library photos.lib
    """
    trust_folders(trust)
    kept = _open_or_create(library, model, source, half)
    summary = add(kept, sources, how.columns, **how.settings())
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


def _open_or_create(
    folder: FilePath, model: str | None, source: str | None, half: bool
) -> "Library":
    from explorer.errors import LibraryNotFound
    from explorer.library import Library

    try:
        library = Library.open(folder)
    except LibraryNotFound:
        return _create(folder, model, source, half)
    _check_options(library, model, source, half)
    return library


def _create(folder: FilePath, model: str | None, source: str | None, half: bool) -> "Library":
    """Create a library with the model that was named, or with the CLIP of photographs."""
    from explorer.errors import QueryError, WeightsMissing
    from explorer.library import Library
    from explorer.models import DEFAULT_MODEL, load
    from explorer.models.shared.short_names import no_decoder

    if source is not None and model is None:
        raise QueryError("--source is the folder of the weights of --model: name the model too.")
    if model is None:
        say(f"unclip: a new library, for photographs: --model {DEFAULT_MODEL}", sys.stderr)
    try:
        loaded = load(model or DEFAULT_MODEL, source=source)
    except WeightsMissing as error:
        if model is not None:
            raise
        raise WeightsMissing(
            f"{error} With weights from elsewhere, a folder of open_clip_config.json and "
            "open_clip_model.safetensors: --model openclip:FOLDER. For emoji and icons: "
            "--model pocket, which ships with the package."
        ) from None
    if model is not None and (sentence := no_decoder(loaded.name)):
        say(f"unclip: {sentence}", sys.stderr)
    return Library.create(folder, loaded, dtype="float16" if half else "float32")


def _check_options(library: "Library", model: str | None, source: str | None, half: bool) -> None:
    """Refuse options that contradict a library that is there.

    Raises:
        QueryError: what the library holds, and the command for a new one.
    """
    from explorer.errors import QueryError
    from explorer.models import same_model
    from explorer.models.trust import remember_named

    holds = f"{library.folder} holds {len(library):,} images embedded with {library.model}"
    other = "Leave the option out, or index into another library: --library OTHER"
    wanted = f"openclip:{source}" if source and model in (None, "openclip") else model
    if wanted is not None and not same_model(wanted, library.model):
        raise QueryError(f"{holds}, not with {wanted}. {other} --model {wanted}.")
    if wanted is not None:
        remember_named(wanted)
    if half and library.dtype != "float16":
        raise QueryError(f"{holds}, stored as {library.dtype}. {other} --half.")


def add(
    library: "Library",
    sources: Any,
    columns: FilePath | None = None,
    **options: "Unpack[AddOptions]",
) -> dict[str, Any]:
    """Run `Library.adding` under a progress bar and count what it did."""
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
        for last in library.adding(sources, columns=columns, **options):
            bar.update(task, completed=last.done, total=last.total)
    counted = ("embedded", "unchanged", "failed", "removed")
    return {
        "library": str(library.folder),
        **{name: getattr(last, name, 0) for name in counted},
        "images": len(library),
        "before": before,
        "left_out": library.left_out,
        "excluded": library.excluded,
        "errors": library.errors.to_dict("records"),
        "warnings": library.warnings,
    }


def summary_lines(library: "Library", summary: dict[str, Any], most: int = 20) -> list[str]:
    """Return what `add` did, and what it could not read, in words."""
    lines = [
        f"{summary['library']}: {summary['images']} images "
        f"({summary['embedded']} embedded, {summary['unchanged']} unchanged, "
        f"{summary['removed']} removed, {summary['failed']} unreadable)"
    ]
    lines += counted_lines(summary["left_out"], summary["excluded"])
    errors = summary["errors"]
    lines += [_failure(error) for error in errors[:most]]
    if len(errors) > most:
        lines.append(
            f"  … and {len(errors) - most} more: unclip info {summary['library']} --errors"
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
    """Show library statistics."""
    from explorer.library import Library

    kept = Library.open(library)
    kept.note_unlike()
    value = kept.info() | ({"unreadable": kept.errors.to_dict("records")} if errors else {})
    special = ("unreadable", "left_out")
    lines = [f"{name}: {plain(content)}" for name, content in value.items() if name not in special]
    lines += [line.strip() for line in counted_lines(kept.left_out, {})]
    lines += [_failure(error) for error in value.get("unreadable", [])]
    report(value, as_json, lines)


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

    kept = opened(library)
    write_vectors(kept, out)
    value = {"file": str(out), "rows": len(kept), "dimension": kept.space.dimension}
    report(value, as_json, [f"{out}: {len(kept)} × {kept.space.dimension} raw vectors"])


def _failure(error: dict[str, str]) -> str:
    item, reason = error["item"], error["reason"]
    return f"  {reason}" if reason.startswith(item) else f"  {item}: {reason}"
