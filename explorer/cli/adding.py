"""Adding to a library under a progress bar; an interrupt saves what was done."""

from contextlib import closing
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Unpack

from explorer.cli.output import progress_bar, waiting
from explorer.interrupts import finishing
from explorer.notes import counted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from explorer.library import Library
    from explorer.library.adding import AddOptions
    from explorer.library.adding import Progress as AddProgress


def add(
    library: "Library",
    sources: Any,
    columns: FilePath | None = None,
    **options: "Unpack[AddOptions]",
) -> dict[str, Any]:
    """Run `Library.adding` under a progress bar and count what it did."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    before, last = len(library), None
    look = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with progress_bar(*look) as bar:
        task = bar.add_task("reading images", total=None, speed="")
        for last in _saving(library, library.adding(sources, columns=columns, **options)):
            bar.update(task, description=last.doing, completed=last.done, total=last.total)
            bar.update(task, speed=images_a_second(bar.tasks[task].speed))
    counted = ("embedded", "unchanged", "failed", "removed")
    return {
        "library": str(library.folder),
        **{name: getattr(last, name, 0) for name in counted},
        "images": len(library),
        "before": before,
        "left_out": library.left_out,
        "excluded": library.excluded,
        "errors": library.errors.to_dict("records"),
    }


def images_a_second(speed: float | None) -> str:
    """Return a speed for people; "" while it is unknown.

    >>> images_a_second(1234.5), images_a_second(2.34), images_a_second(None)
    ('1,234 images/s', '2.3 images/s', '')
    """
    if not speed:
        return ""
    return f"{speed:,.0f} images/s" if speed >= 10 else f"{speed:.1f} images/s"


def prepare_search(library: "Library") -> None:
    """Build what a large library is searched by, so that the first search does not.

    An interrupt loses nothing but this: the images are saved, and the next search builds it.
    """
    with waiting("building the search index"):
        library.update_index()


def _saving(library: "Library", steps: "Generator[AddProgress]") -> "Iterator[AddProgress]":
    """Pass steps on; an interrupt saves what they have done.

    Before the first step there is nothing to save: sources are listed, packages imported.
    """
    with closing(steps):
        yield next(steps)
        with finishing() as work:
            try:
                for step in steps:
                    work.line = _saved(step.committed, library)
                    yield step
            finally:
                steps.close()
                work.line = _saved(None, library)


def _saved(done: int | None, library: "Library") -> str:
    images = counted(len(library)) if done is None else f"{done:,} of this run's images"
    return f"{images} saved in {library.folder}; the same command goes on from there."
