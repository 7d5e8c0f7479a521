"""The demo: everything once, on the sample library that ships with the package."""

import time
from itertools import count
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.options import Json, decode_all
from explorer.cli.output import command, report
from explorer.errors import SpaceMismatch
from explorer.files import make_folder
from explorer.interrupts import shielded
from explorer.notes import collecting, note

if TYPE_CHECKING:
    from explorer.library import Library
    from explorer.models import Model

SAMPLE = FilePath(__file__).parent.parent / "sample"
CAT = SAMPLE / "images/noto/1f431.png"


@command
def demo(
    out: Annotated[FilePath, typer.Option("--out", help="Output folder.")] = FilePath("demo"),
    as_json: Json = False,
) -> None:
    """Try everything on the sample images, offline.

    Runs searches, a text diff, a walk and a map, and names each file written.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from explorer.models import load

    began = time.monotonic()
    make_folder(out)
    model = load("pocket")
    library = _indexed(model, out / "sample.lib")
    apart = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=apart) as beside:  # the map takes one core meanwhile
        with shielded():
            laid_out = beside.submit(_map, library.folder, out)
        files = {
            "sample.lib/": f"the library: {len(library)} images with their points",
            **_searches(model, library, out),
            **_diff(model, library, out),
            **_walk(model, out),
            **laid_out.result(),
        }
    lines = [line for name, text in files.items() for line in (f"{out / name}", f"    {text}")]
    value = {"folder": str(out), "files": files, "seconds": round(time.monotonic() - began, 1)}
    report(
        value, as_json, [*lines, f"Done in {value['seconds']} s. Open {out / 'map.html'} first."]
    )


def _indexed(model: "Model", folder: FilePath) -> "Library":
    """The library of the sample images, brought up to date; made anew for other weights."""
    from explorer.cli.adding import add
    from explorer.library import Library

    try:
        library = Library.open_or_create(folder, model)
    except SpaceMismatch:
        aside = _free(folder)
        folder.rename(aside)
        note(f"{folder} was made with another version of pocket: it is now {aside}.")
        library = Library.create(folder, model)
    add(library, [SAMPLE / "images"])
    return library


def _free(folder: FilePath) -> FilePath:
    """A name beside a library that nothing has: sample-before-1.lib."""
    names = (f"{folder.stem}-before-{number}{folder.suffix}" for number in count(1))
    return next(place for name in names if not (place := folder.with_name(name)).exists())


def _searches(model: "Model", library: "Library", out: FilePath) -> dict[str, str]:
    """One query by words, one by image, one by arithmetic."""
    from explorer.query import Query

    queries = {
        "search-words.png": ["a smiling cat"],
        "search-image.png": [str(CAT)],
        "search-arithmetic.png": ["woman farmer", "-", "woman", "+", "man"],
    }
    files = {}
    for name, query in queries.items():
        hits = library.search(Query.parse(query).points(model.encoder), 12)
        hits.save(out / name)
        shown = " ".join(query).replace(str(SAMPLE), "sample")
        files[name] = f"the 12 nearest to {shown!r}"
    return files


def _diff(model: "Model", library: "Library", out: FilePath) -> dict[str, str]:
    """A text diff as a video, and as a strip with the neighbours of its frames."""
    from explorer import edits
    from explorer.samples import sample_edits

    best = sample_edits()[0]
    diff = edits.text_diff(model, best.start, frames=24, fps=12, **best.options)
    decode_all(diff).save(out / "text-diff.mp4")
    with collecting():  # that a strip shows fewer frames: the video is beside it
        diff.save(out / "text-diff.png", library)
    return {
        "text-diff.mp4": f"a text diff: an image changed from {best.before!r} to {best.after!r}",
        "text-diff.png": "some of its frames as a strip, with the nearest images under each",
    }


def _walk(model: "Model", out: FilePath) -> dict[str, str]:
    """An interpolation between two images."""
    from explorer import edits
    from explorer.samples import sample_walks

    ends = sample_walks()[0]
    decode_all(edits.interpolate(model, ends, frames=48, fps=24)).save(out / "walk.mp4")
    between = " → ".join(end.relative_to(SAMPLE / "images").as_posix() for end in ends)
    return {"walk.mp4": f"an interpolation: {between}, noise and point along arcs"}


def _map(folder: FilePath, out: FilePath) -> dict[str, str]:
    """The map as a page and as an image; runs in a process of its own."""
    from explorer.cli.mappage import write_map
    from explorer.library import Library
    from explorer.projection import Projection

    library = Library.open(folder)
    projection = Projection.cached(library.cache_folder, library.points())
    for name in ("map.html", "map.png"):
        write_map(library, projection, out / name, title="The sample library")
    return {
        "map.html": "the map, one page that opens offline: hover, zoom, search",
        "map.png": "the map as an image",
    }
