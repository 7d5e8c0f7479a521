"""Pages where nothing decodes: the real images along a path, and what would add decoding."""

import re
import shlex
from collections.abc import Callable, Sequence

import streamlit as st
from PIL import Image

from explorer.app import copying, outputs, state
from explorer.app.inputs import Input
from explorer.app.server.decoding import computed
from explorer.app.widgets.scrub import scrub
from explorer.models.shared.short_names import ways_to_decode
from explorer.path import Path
from explorer.points import Points
from explorer.retrieval import COUNT, FPS, Retrieval

FORMATS = ("MP4", "GIF", "WebP", "PNG")
TABLE_COLUMNS = ["t", "score", "row", "item"]


def decodes() -> bool:
    """Return whether the model of this dashboard has a decoder."""
    return state.has_decoder()


def decodes_words() -> bool:
    """Return whether words can be decoded: there is a decoder, and a prior that carries them."""
    return decodes() and state.model().prior is not None


def say_what_decodes(before: str = "These are real images of the library") -> None:
    """Say in one line why nothing is decoded, and what to type so that it is."""
    library = state.library()
    adding = ways_to_decode(library.model, shlex.quote(str(library.folder)))
    st.caption(_with_code(f"{before}: {library.model} has no decoder. To decode, {adding}."))


def _with_code(text: str) -> str:
    r"""Escape a sentence for Markdown, and show what stands in backquotes as code.

    >>> print(_with_code("add `--decoder x`, now."))
    add `--decoder x`\, now\.
    """
    pieces = re.split(r"(`[^`]*`|\s+)", text)
    return "".join(
        piece if piece.startswith("`") or piece.isspace() else outputs.escaped(piece)
        for piece in pieces
    )


def fields(key: str) -> tuple[int, int]:
    """Show fields for the number of images and those per second; both are in the address."""
    count = st.slider("Real images", 4, 48, COUNT, key=f"{key}_frames", bind="query-params")
    fps = st.slider("Images per second", 1, 30, int(FPS), key=f"{key}_fps", bind="query-params")
    return count, fps


def found(find: Callable[[], Retrieval], *asked: object) -> Retrieval | None:
    """Return what `find` finds, once for all sessions; None if cancelled.

    Args:
        asked: all that it depends on besides the library, in values that `repr` tells apart.
    """
    return computed(find, "retrieval", state.library().cache_key, *asked, doing="Searching")


def along(points: Points, key: str, python: str, before: Sequence[str]) -> None:
    """Show the real images on the great circles through points, such as a path on the map.

    Args:
        key: as for `show`.
        python, before: what gives the points from `library`.
    """
    path = Path.through(points)
    images = found(lambda: Retrieval.along(state.library(), path), points.vectors.tobytes())
    if images is not None:
        call = f"ex.Retrieval.along(library, ex.Path.through({python}))"
        show(images, key, call, before=before)


def show(
    images: Retrieval,
    key: str,
    python: str,
    command: Sequence[str] = (),
    inputs: Sequence[Input] = (),
    before: Sequence[str] = (),
) -> None:
    """Show real images along a path as a slider, a strip, a video and a table; offer the files.

    Args:
        key: of the widgets; also the name of the files.
        python: the call that makes `images` from `library`.
        command: words of the command, without library and file; none where there is none.
        inputs: what the path starts from and leads through.
        before: lines of Python that `python` needs.
    """
    say_what_decodes()
    scrub(_frames(images), "Along the path", key=f"{key}_scrub")
    strip, video, table = st.tabs(["Strip", "Video", "Table"])
    with strip:
        tiles(images)
    with video:
        st.video(_video(images), loop=True, autoplay=True, muted=True)
    with table:
        shown = images.to_pandas()[[*TABLE_COLUMNS, *state.library().columns]]
        st.dataframe(shown, hide_index=True)
    _offer(images, key, [*before, f"images = {python}"], command, inputs)


def tiles(images: Retrieval) -> None:
    """Show the images beside each other, in the order of the path."""
    words = [
        f"{i + 1}. {state.caption(int(row))} ({score:z.2f})"
        for i, (row, score) in enumerate(zip(images.rows, images.scores, strict=True))
    ]
    with st.container(key=f"{outputs.EVEN}-along"):
        outputs.tiles([state.thumbnail(int(row)) for row in images.rows], words, width=110)


def _offer(
    images: Retrieval,
    key: str,
    python: Sequence[str],
    command: Sequence[str],
    inputs: Sequence[Input],
) -> None:
    kind = st.segmented_control("File format", FORMATS, default=FORMATS[0], required=True,
                                key=f"{key}_as", bind="query-params",
                                help="PNG is the strip.")  # fmt: skip
    name = f"{key}.{kind.lower()}"
    lines = ["import explorer as ex", copying.library_line(), *python]
    where = ["--library", str(state.library().folder), "-o", name]
    outputs.offer(
        name,
        images.save,
        python="\n".join([*lines, f"images.save({name!r})"]),
        command=[*command, *where] if command else [],
        note=" ".join(dict.fromkeys(each.note for each in inputs if each.note)),
    )


def _frames(images: Retrieval) -> list[Image.Image]:
    frames: list[Image.Image] | None = computed(
        lambda: list(images.frames()), "frames", *_identity(images), doing="Reading"
    )
    return frames or []


def _video(images: Retrieval) -> bytes:
    content = computed(
        lambda: outputs.content_of("path.mp4", images.save), "video", *_identity(images),
        doing="Writing the video",
    )  # fmt: skip
    return content or b""


def _identity(images: Retrieval) -> tuple[object, ...]:
    return state.library().cache_key, images.rows.tolist(), images.fps
