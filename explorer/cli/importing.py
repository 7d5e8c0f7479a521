"""The command import: vectors that exist become a library."""

import sys
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from explorer.cli.adding import prepare_search
from explorer.cli.options import Json, NewFolder
from explorer.cli.output import command, progress_bar, report, say

if TYPE_CHECKING:
    from explorer.library import Library
    from explorer.library.importing import VectorImport
    from explorer.library.manifest import DType
    from explorer.models import Model
    from explorer.points import Side


@dataclass(frozen=True)
class BesideOptions:
    """What belongs to the vectors: a table, images, and which column is which."""

    table: Annotated[
        FilePath | None,
        typer.Option(help="A table of paths, captions and more: a row for each vector, in order."),
    ] = None
    images: Annotated[
        FilePath | None,
        typer.Option(help="The folder that relative paths start from; default: the table's."),
    ] = None
    vector_column: Annotated[
        str | None, typer.Option(help="Column, or array of an .npz, that holds the vectors.")
    ] = None
    path_column: Annotated[
        str | None, typer.Option(help="Column with the images' files or addresses.")
    ] = None
    caption_column: Annotated[
        str | None, typer.Option(help="Column that becomes the column caption.")
    ] = None

    def plan(self, vectors: list[str], model: "Model", side: "Side") -> "VectorImport":
        """Look at the vectors and what belongs to them; write nothing."""
        from explorer.library.importing import plan

        named = ("vector", self.vector_column), ("path", self.path_column)
        both = (*named, ("caption", self.caption_column))
        columns = {name: column for name, column in both if column is not None}
        return plan(
            list(vectors), model.space, side, table=self.table, images=self.images, columns=columns
        )


@dataclass(frozen=True)
class HowOptions:
    """Which model made the vectors, on which side, and how they are kept."""

    model: Annotated[
        str | None, typer.Option(help="The model that made the vectors; a new library needs it.")
    ] = None
    source: Annotated[
        str | None, typer.Option(help="A folder with the weights of --model, fetched before.")
    ] = None
    side: Annotated[
        Literal["image", "text"] | None,
        typer.Option(help="Which encoder made them; texts need a library of their own."),
    ] = None
    half: Annotated[bool, typer.Option("--half", help="Store a new library as float16.")] = False
    force: Annotated[
        bool, typer.Option("--force", help="Import vectors that do not agree with the model.")
    ] = False

    @property
    def dtype(self) -> "DType":
        """What a new library stores."""
        return "float16" if self.half else "float32"


@command
def import_command(
    vectors: Annotated[
        list[str],
        typer.Argument(
            help=".npy, .npz, .parquet, .arrow, a flat FAISS .index, or clip-retrieval's folder."
        ),
    ],
    library: NewFolder,
    *,
    beside: BesideOptions,
    how: HowOptions,
    as_json: Json = False,
) -> None:
    """Import vectors that exist as a library, or into one.

    Up to 16 images are encoded again, to check that the vectors are of the model. The same import
    again adds nothing, and goes on where an earlier one was interrupted.

    Example: unclip import img_emb.npy --table meta.parquet --library big.lib --model pocket
    """
    from explorer.library import Library
    from explorer.library.importing.agreement import check

    kept, loaded = _open(library, how.model, how.source)
    side = how.side or (kept.side if kept is not None else "image")
    planned = beside.plan(vectors, loaded, side)
    agreement = check(planned, loaded.encoder, loaded.name)
    _insist(str(agreement), agreement.passed, how.force)
    if kept is None:  # another process may have made one meanwhile
        kept = Library.open_or_create(library, loaded, dtype=how.dtype, side=side)
    value = _write(kept, planned) | {"agreement": str(agreement), "passed": agreement.passed}
    report(value, as_json, _lines(value))


def _open(folder: FilePath, name: str | None, source: str | None) -> "tuple[Library | None, Model]":
    """Open the library, if there is one, and load the model; nothing is created."""
    from explorer.cli.options import opened
    from explorer.errors import LibraryNotFound, QueryError
    from explorer.models import load
    from explorer.models.shared.on_word import named_by
    from explorer.models.trust import check_named

    try:
        kept = opened(folder)
    except LibraryNotFound:
        if name is None:
            raise QueryError(
                f"There is no library in {folder} yet, and a new one must know which model made "
                "the vectors: name it with --model; `unclip models` lists them."
            ) from None
        return None, load(name, source=source)
    if name is None and source is not None:
        raise QueryError("--source is the folder of the weights of --model: name the model too.")
    if name is not None:
        loaded = load(name, source=source)
    else:
        by = f"The library {folder}"
        with named_by(by, kept.space):
            loaded = load(check_named(kept.model, by))
    loaded.space.check(kept.space, f"The library {folder} was made with {kept.model}.")
    return kept, loaded


def _insist(sentence: str, passed: bool, force: bool) -> None:
    """Refuse vectors of another model, unless the person insists."""
    from explorer.errors import QueryError

    if not passed and not force:
        raise QueryError(f"{sentence} Nothing was written; --force imports them all the same.")
    if not passed:
        say(f"unclip: warning: {sentence}", sys.stderr)


def _write(kept: "Library", planned: "VectorImport") -> dict[str, Any]:
    """Write the vectors under a progress bar and count what was done."""
    with progress_bar() as bar:
        task = bar.add_task("importing vectors", total=planned.total)
        for last in kept.importing_vectors(planned):
            bar.update(task, completed=last.done)
    prepare_search(kept)
    return {
        "library": str(kept.folder),
        "vectors": planned.total,
        "added": last.added,
        "unchanged": last.unchanged,
        "repeated": last.repeated,
        "rows": len(kept),
        "side": kept.side,
        "unit": planned.unit,
    }


def _lines(value: dict[str, Any]) -> list[str]:
    lines = [
        f"{value['library']}: {value['rows']:,} rows "
        f"({value['added']:,} vectors added, {value['unchanged']:,} there already)"
    ]
    if value["passed"]:
        lines.append(f"  {value['agreement']}")
    if value["repeated"]:
        lines.append(
            f"  note: {value['repeated']:,} rows name an image again and were left out; the first "
            "row counts."
        )
    if value["unit"]:
        lines.append(
            "  note: these vectors have length 1: search and maps need no more, but a decoder "
            "also reads the length that the encoder gave, so decode them with --rescale."
        )
    return lines
