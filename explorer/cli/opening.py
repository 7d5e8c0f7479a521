"""The library that `unclip index` fills, and the model of a new one."""

import sys
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from explorer.cli.output import say, waiting
from explorer.notes import counted

if TYPE_CHECKING:
    from explorer.library import Library


def open_or_create(
    folder: FilePath,
    model: str | None,
    source: str | None,
    half: bool,
    again: str,
    memory: str | None = None,
) -> "Library":
    """Open the library that `index` fills, or create it; arguments are the options of `index`.

    Args:
        again: the command without its model, for the message where there are no weights.
    """
    from explorer.errors import LibraryNotFound
    from explorer.library import Library
    from explorer.models.shared.hub import fetch_missing

    try:
        library = Library.open(folder)
    except LibraryNotFound:
        return _create(folder, model, source, half, again, memory)
    _check_options(library, model, source, half)
    library.memory = memory
    if model is not None and source is None:
        fetch_missing(library.model)  # a person named it; the library alone starts no download
    return library


def _create(
    folder: FilePath,
    model: str | None,
    source: str | None,
    half: bool,
    again: str,
    memory: str | None,
) -> "Library":
    """Create a library with the model that was named, or with the CLIP of photographs."""
    from explorer.errors import QueryError, WeightsMissing
    from explorer.library import Library
    from explorer.models import DEFAULT_MODEL, load
    from explorer.models.shared.hub import fetch_missing
    from explorer.models.shared.short_names import no_decoder

    if source is not None and model is None:
        raise QueryError("--source is the folder of the weights of --model: name the model too.")
    if model is None:
        say(f"unclip: a new library, for photographs: --model {DEFAULT_MODEL}", sys.stderr)
    name = model or DEFAULT_MODEL
    try:
        if source is None:
            fetch_missing(name)
        with waiting("loading the model"):
            loaded = load(name, source=source, memory=memory)
    except WeightsMissing as error:
        if model is not None or source is not None:
            raise
        raise WeightsMissing(
            f"{error}; with its weights from elsewhere, open_clip_config.json and "
            f"open_clip_model.safetensors in one folder: {again} --model vit-b-32 --source "
            f"FOLDER; for emoji and icons, with a model that ships with the package: {again} "
            "--model pocket"
        ) from None
    if model is not None and (sentence := no_decoder(loaded.name)):
        say(f"unclip: {sentence}", sys.stderr)
    return Library.open_or_create(folder, loaded, dtype="float16" if half else "float32")


def _check_options(library: "Library", model: str | None, source: str | None, half: bool) -> None:
    """Refuse options that contradict a library that is there.

    Raises:
        QueryError: what the library holds, and the command for a new one.
    """
    from explorer.errors import QueryError
    from explorer.models import same_model
    from explorer.models.trust import remember_named

    holds = f"{library.folder} holds {counted(len(library))} embedded with {library.model}"
    other = "Leave the option out, or index into another library: --library OTHER"
    wanted = f"openclip:{source}" if source and model in (None, "openclip") else model
    if wanted is not None and not same_model(wanted, library.model):
        raise QueryError(f"{holds}, not with {wanted}. {other} --model {wanted}.")
    if wanted is not None:
        remember_named(wanted)
    if half and library.dtype != "float16":
        raise QueryError(f"{holds}, stored as {library.dtype}. {other} --half.")
