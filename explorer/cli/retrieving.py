"""What diff and walk do where nothing decodes: real images along the path, saved and reported."""

import shlex
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from explorer.cli.output import report
from explorer.cli.values import timing
from explorer.errors import QueryError

if TYPE_CHECKING:
    from explorer.library import Library
    from explorer.models import Model


@dataclass(frozen=True)
class Shown:
    """Of which model and library, how many images, and where to."""

    model: "Model"
    library: "Library | None"
    out: FilePath
    as_json: bool
    frames: int | None
    fps: float | None


def check_decodes(model: "Model", **given: bool) -> None:
    """Refuse options that change how a path is decoded, where nothing decodes.

    Args:
        given: by its name, whether an option was typed.

    Raises:
        QueryError: one was.
    """
    for name in (name for name, typed in given.items() if typed):
        raise QueryError(
            f"{name} changes how a path is decoded, and {model.name} has no decoder: its real "
            f"images are shown. Leave {name} out, or add a decoder (--decoder)."
        )


def save_retrieval(of: Shown, way: str, start: object, **asked: object) -> None:
    """Write the real images along a path, and report which they are.

    Args:
        way: the method of `Retrieval` that finds them.

    Raises:
        QueryError: no library was named.
    """
    from explorer.models.shared.short_names import ways_to_decode
    from explorer.retrieval import COUNT, FPS, Retrieval

    name = of.model.name
    if of.library is None:
        raise QueryError(
            f"{name} has no decoder. Name a library to see its nearest real images instead: "
            f"-l photos.lib. To decode, {ways_to_decode(name, 'photos.lib')}."
        )
    given = timing(of.frames, of.fps, COUNT, FPS)
    named = {"count": given["frames"], "fps": given["fps"], "encoder": of.model.encoder}
    images = getattr(Retrieval, way)(of.library, start, **named, **asked)
    images.save(of.out)
    rows = images.to_pandas()[["t", "score", "row", "item"]].to_dict("records")
    adding = ways_to_decode(name, shlex.quote(str(of.library.folder)))
    lines = [
        f"{of.out}: {images.title}, {len(images)} real images",
        *(f"  t = {row['t']:.2f}  {row['score']:.3f}  {row['item']}" for row in rows),
        f"  {name} has no decoder. To decode, {adding}.",
    ]
    report(rows, of.as_json, lines)
