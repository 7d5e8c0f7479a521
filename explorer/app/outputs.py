"""How pages show things: grids of images, text as it is, results to take away, and errors."""

import functools
import logging
import re
import secrets
import shlex
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Literal

import streamlit as st
from PIL import Image

from explorer.app import state
from explorer.errors import ExplorerError
from explorer.library import Hits
from explorer.notes import collecting
from explorer.refusals import refusal
from explorer.rendering import Rendering

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

TILE = 160  # pixels
SQUARE = "square"  # begins the key of a container whose images are cut to squares
EVEN = "even"  # the same of one whose images stand whole in squares, so that rows align
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")  # ASCII punctuation, all of what Markdown reads
_LINK = re.compile(r"(?=//|www\.|@)")


def escaped(text: object) -> str:
    r"""Return text that Markdown shows as it is: file names and captions may hold anything.

    >>> print(escaped("![x](a) <b>\n- c"))
    \!\[x\]\(a\) \<b\> \- c
    """
    parts = _LINK.split(" ".join(str(text).split()))
    return "\u2060".join(_MARKS.sub(r"\\\1", part) for part in parts)  # the joiner stops links


def sentences(page: Callable[[], None]) -> Callable[[], None]:
    """Make errors of a page sentences; what is a fault of ours goes to the log with a number."""

    @functools.wraps(page)
    def calm() -> None:
        above = st.container()  # notes come last, and stand first: they say what the page is worth
        try:
            with collecting() as notes:
                try:
                    page()
                    state.library().note_unlike()
                finally:
                    _warn(above, notes)
        except Exception as error:  # a page shows a number, never a traceback; the log has both
            if (refused := refusal(error)) is not None:
                st.error(escaped(refused))
                return
            number = secrets.token_hex(4)
            logging.getLogger(__name__).exception(
                "Error %s on the page %s", number, page.__module__
            )
            st.error(
                "This is a fault of the program, not yours. Its report has the number "
                f"{number} in the log of the server."
            )

    return calm


def unknown(name: str, value: str, right: str) -> None:
    """Say that a value in the address is not used, and what would be right."""
    st.warning(f"The address says {escaped(f'{name}={value}')}, which is not used: "
               f"{escaped(name)} is {escaped(right)}.")  # fmt: skip


def _warn(top: "DeltaGenerator", notes: Sequence[str]) -> None:
    """Show in `top` what is damaged, then what else was noted."""
    damage: list[str] = []
    with suppress(ExplorerError):  # the page has said that there is no library
        damage = state.library().warnings  # it was opened once, for all sessions
    for sentence in damage:
        top.warning(escaped(sentence))
    for sentence in notes:
        if sentence not in damage:
            top.warning(escaped(sentence))


def tiles(
    images: Sequence[Image.Image | bytes], captions: Sequence[str], *, width: int = TILE
) -> None:
    """Show images beside each other, as many in a line as the window holds."""
    with st.container(horizontal=True):
        for image, text in zip(images, captions, strict=True):
            show(image, text, width=width)


def show(image: Image.Image | bytes, text: str, *, width: int = TILE) -> None:
    """Show one image, with its caption below it and as what screen readers say."""
    if not isinstance(image, bytes) and image.width > width:
        image = state.at_least(image, -(-image.width // width))
    exact: Literal["auto", "PNG"] = "auto" if isinstance(image, bytes) else "PNG"
    st.image(image, escaped(text), width=width, alt=text, output_format=exact)


def found(
    hits: Hits,
    action: tuple[str, Callable[[int], None]] | None = None,
    *,
    width: int = TILE,
    key: str = "hits",
    since: int = 0,
    opens: Callable[[int], None] | None = None,
) -> None:
    """Show the images that a search found, with their scores.

    Args:
        action: what stands on a button under each, and what it calls with the row.
        key: tells the buttons of several such grids on a page apart.
        since: how many of them stand on pages before.
        opens: what a further button calls with the row.
    """
    with st.container(horizontal=True, key=f"{EVEN}-{key}"):
        gone = hits.missing.tolist()
        each = list(zip(map(int, hits.rows), hits.scores, gone, strict=True))[since:]
        for row, score, missing in each:
            text = state.caption(row)
            with st.container(width=width):
                show(state.thumbnail(row), f"{score:z.2f} {text}", width=width)
                with st.container(horizontal=True, gap="small"):
                    if action is not None:
                        st.button(action[0], key=f"{key}-{row}", on_click=action[1], args=(row,),
                                  disabled=missing, type="tertiary",
                                  help=f"{action[0]}: {escaped(text)}")  # fmt: skip
                    if opens is not None:
                        st.button("Open", key=f"{key}-open-{row}", on_click=opens, args=(row,),
                                  type="tertiary", help=f"Open: {escaped(text)}")  # fmt: skip


def offer(
    name: str,
    write: Callable[[FilePath], object] | None,
    *,
    python: str,
    command: Sequence[str] = (),
    note: str = "",
) -> None:
    """Offer a download, and the same as Python and as a command.

    Args:
        name: the file; its suffix selects the format.
        write: writes it, with its recipe, when it is asked for; None: there is nothing to download.
        python: lines that make the same.
        command: words of a command line that makes the same; none where no command does.
        note: what the person has to do first.
    """
    with st.container(horizontal=True):
        if write is not None:
            st.download_button(f"Download {FilePath(name).suffix[1:].upper()}", file_name=name,
                               data=functools.partial(content_of, name, write),
                               key=f"download-{name}", on_click="ignore")  # fmt: skip
        with st.popover("Copy as Python"):
            st.code(python, "python")
        if command:
            with st.popover("Copy as command"):
                st.code(shlex.join(command), "bash", wrap_lines=True)
    if note:
        st.caption(note)


def offer_replay(name: str, rendering: Rendering, python: str, note: str = "") -> None:
    """Offer a rendering that no command but `unclip replay` makes."""
    offer(
        name,
        rendering.save,
        python=python,
        command=["unclip", "replay", name, "-o", f"again-{name}"],
        note=f"The command makes {name} again from its recipe: download it first. {note}",
    )


def content_of(name: str, write: Callable[[FilePath], object]) -> bytes:
    """Return what `write` writes into a file of that name."""
    with tempfile.TemporaryDirectory() as folder:
        file = FilePath(folder) / name
        write(file)
        return file.read_bytes()
