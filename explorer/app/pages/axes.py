"""Concept axes: the library measured along two text diffs, and any place on them decoded."""

import functools
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import streamlit as st
from jaxtyping import Float, Int

from explorer.app import copying, examples, outputs, retrieved, state
from explorer.app.inputs import Input, ask
from explorer.app.map.scatter import Mark, Scene, scatter
from explorer.app.pages.frames import example
from explorer.app.previews import rough_first
from explorer.app.server.decoding import computed
from explorer.app.server.thumbnails import addresses
from explorer.app.support_words import say_support
from explorer.axes import Axes, Words
from explorer.edits import decode
from explorer.images import grid
from explorer.library import Library
from explorer.library.sheet import write_sheet
from explorer.points import Points
from explorer.rendering import Rendering
from explorer.sampler import batches

CHUNK_ROWS = 10_000  # measured at once
GRID_SIDE = 5  # images along each side
LARGE, SMALL, TINY = 260, 110, 72  # pixels
NEIGHBOURS = 6
PLACE = "axes_at"  # in the address
Places = Float[np.ndarray, "N 2"]


@dataclass(frozen=True)
class Base:
    """What is moved along the axes, and the Python that gives its point."""

    point: Points
    python: str
    note: str = ""


def page() -> None:
    """Ask for the words of both axes, then show the library on them, and any place decoded."""
    st.title("Concept axes")
    decodes = retrieved.decodes()
    does = "decodes any place" if decodes else "shows the images at any place"
    st.caption(f"Lays images out along two changes of words, and {does} between them.")
    with st.container(horizontal=True):
        x, y = _words("x", "left", "right"), _words("y", "below", "above")
    if not (x[1] and y[1] and len(state.library())):
        example("Type words for each axis: what stands at its two ends.", examples.axes)
        return
    axes, xy = _measured(state.library(), x, y, state.library().cache_key)
    place = _place(xy)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _map(xy, place, x, y)
    with right:
        sheet = st.toggle("Decode a grid" if decodes else "Show a grid", key="axes_sheet",
                          bind="query-params")  # fmt: skip
        places = _spread(xy) if sheet else place[None]
        read = f"axes = ex.Axes.read({'model' if decodes else 'library'}.encoder, {x!r}, {y!r})"
        if not decodes:
            _retrieve(axes, xy, places, read)
            return
        base = _base(ask("Start from", "axes"), xy, place)
        if base is None:
            return
        _decode(axes, base, places, read)


def _words(axis: str, low: str, high: str) -> Words:
    """Show two fields for an axis; the first may be left empty."""
    first = st.text_input(f"{axis}: {low}", key=f"axes_{axis}0", bind="query-params", width=220)
    second = st.text_input(f"{axis}: {high}", key=f"axes_{axis}1", bind="query-params", width=220)
    return first.strip(), second.strip()


@st.cache_resource(max_entries=8, show_spinner="Measuring the images …")
def _measured(_library: Library, x: Words, y: Words, key: str) -> tuple[Axes, Places]:  # noqa: ARG001
    axes, rows = Axes.read(state.model().encoder, x, y), np.arange(len(_library))
    parts = [
        axes.coordinates(_library.points(rows[part])) for part in batches(len(rows), CHUNK_ROWS)
    ]
    return axes, np.concatenate(parts)


def _place(xy: Places) -> Float[np.ndarray, "2"]:
    """Return where the address points to; the middle of the images where it makes no sense."""
    text, middle = st.query_params.get(PLACE, ""), np.median(xy, axis=0).round(4)
    with suppress(ValueError):
        place = np.array([float(part) for part in text.split(",")])
        if place.shape == (2,) and (np.abs(place) <= 1).all():
            return place
    if text:
        outputs.unknown(PLACE, text, "two numbers from -1 to 1, with a comma between them")
    return middle


def _spread(xy: Places) -> Places:
    """Return places in rows from the top, over where most images are."""
    low, high = np.quantile(xy, (0.02, 0.98), axis=0)
    across, up = np.linspace(low, high, GRID_SIDE).T.round(4)
    return np.stack([axis.ravel() for axis in np.meshgrid(across, up[::-1])], axis=1)


def _map(xy: Places, place: Float[np.ndarray, "2"], x: Words, y: Words) -> None:
    low, middle, high = np.quantile(xy, (0.0, 0.5, 1.0), axis=0).tolist()
    ends = [(low[0], middle[1]), (high[0], middle[1]), (middle[0], low[1]), (middle[0], high[1])]
    marks = [Mark(*at, "label", text) for at, text in zip(ends, (*x, *y), strict=True) if text]
    thumbnails, captions = addresses(state.library())
    scene = Scene(
        xy.astype(np.float32),
        "Images on two axes of words",
        marks=[*marks, Mark(float(place[0]), float(place[1]), "place")],
        thumbnails=thumbnails,
        captions=captions,
        tools=("look",),
    )
    event = scatter(scene, key="axes_map")
    if event and event.kind == "click":
        st.query_params[PLACE] = ",".join(f"{value:.4f}" for value in event.places[0])
        st.rerun()


def _base(asked: Input | None, xy: Places, place: Float[np.ndarray, "2"]) -> Base | None:
    """Return what was asked for, or else the real image nearest to the place."""
    if asked is None:
        row = int(((xy - place) ** 2).sum(axis=1).argmin())
        words = state.caption(row)
        st.caption(f"Starts from the image nearest to this place: {outputs.escaped(words)}.")
        return Base(state.library().points([row]), f"{copying.library_text()}.points([{row}])")
    point = computed(lambda: decode(state.model(), asked.query).points, "point", asked)
    python = f"{copying.call('decode', asked.text)}.points"
    return None if point is None else Base(point, python, asked.note)


def _decode(axes: Axes, base: Base, places: Places, read: str) -> None:
    """Show the base moved to each place and decoded, and real images beside it.

    Args:
        read: Python that makes the axes.
    """
    points = axes.at(base.point, places)
    rendering = rough_first(decode(state.model(), points), lambda shown: _show(shown, places))
    if rendering is None:
        return
    say_support(points, what="places")
    if len(rendering) == 1:
        st.markdown("**Nearest real images**")
        outputs.found(state.library().search(points, NEIGHBOURS), width=SMALL)
    name = "sheet.png" if len(rendering) > 1 else "place.png"
    edit = copying.call("decode", copying.Code(f"axes.at(base, {places.tolist()})"))
    python = copying.python(f"base = {base.python}", read, f"{edit}.save({name!r})")
    outputs.offer_replay(name, rendering, python, base.note)


def _show(rendering: Rendering, places: Places) -> None:
    """Show the image of a place, or a grid of many."""
    if len(rendering) > 1:
        words = "From left to right, and from below to above"
        st.image(grid(list(rendering), columns=GRID_SIDE), words, "stretch", alt=words)
    else:
        text = f"x = {places[0, 0]:z.3f}, y = {places[0, 1]:z.3f}"
        outputs.show(rendering[0], text, width=LARGE)


def _retrieve(axes: Axes, xy: Places, places: Places, read: str) -> None:
    """Show the real images that lie nearest to each place on the axes, where nothing decodes.

    Args:
        read: Python that makes the axes.
    """
    retrieved.say_what_decodes()
    if len(places) == 1:
        far = ((xy - places[0]) ** 2).sum(axis=1)
        rows = far.argsort(kind="stable")[:NEIGHBOURS]
        python = f"rows = ((xy - {places[0].tolist()}) ** 2).sum(axis=1).argsort()[:{len(rows)}]"
        st.markdown("**Real images at this place**")
    else:
        rows, python = axes.rows_at(xy, places), f"rows = axes.rows_at(xy, {places.tolist()})"
        st.caption("From left to right, and from below to above; each image once.")
    columns, width = (3, SMALL) if len(places) == 1 else (GRID_SIDE, TINY)
    words = [state.caption(int(row)) for row in rows]
    for start in range(0, len(rows), columns):
        for column, row in zip(st.columns(columns), rows[start : start + columns], strict=False):
            with column:
                outputs.show(state.thumbnail(int(row)), words[list(rows).index(row)], width=width)
    _offer_rows(rows, words, read, python)


def _offer_rows(rows: Int[np.ndarray, " N"], words: list[str], read: str, python: str) -> None:
    library = state.library()
    names = [str(name) for name in library.rows["item"].iloc[rows]]
    lines = ["import explorer as ex", copying.library_line(), read,
             "xy = axes.coordinates(library.points())", python,
             "print(library.rows.iloc[rows])"]  # fmt: skip
    with st.container(horizontal=True):
        write = functools.partial(write_sheet, library.open_image, rows, names, words)
        st.download_button("Download PNG", functools.partial(outputs.content_of, "axes.png", write),
                           "axes.png", on_click="ignore")  # fmt: skip
        with st.popover("Copy as Python"):
            st.code("\n".join(lines), "python")
