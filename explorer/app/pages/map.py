"""The page Map: the library as a map, and what is selected on it."""

from collections.abc import Callable

import streamlit as st

from explorer.app import state
from explorer.app.map.layers import BLIND, MOSAIC, NONE, ground
from explorer.app.map.layout import colours, columns, layout, regions
from explorer.app.map.panel import show_found, show_lasso, show_path, show_place, show_region
from explorer.app.map.scatter import Event, Ground, Mark, Scene, scatter
from explorer.app.server.thumbnails import addresses
from explorer.library import Hits
from explorer.points import Points
from explorer.query import Query, Term

MAX_PATH_PLACES = 400  # of a drawn line, kept in the address
FOUND_IMAGES = 12
NO_COLUMN = "one colour"
Places = tuple[tuple[float, float], ...]

SHOW: dict[str, Callable[[Places], None]] = {"lasso": show_lasso, "path": show_path}


def page() -> None:
    """Show the map, and beside it what was last clicked, drawn around or drawn along."""
    st.title("Map")
    st.caption(
        "Every point is an image, and similar images lie near each other. Click a point or the "
        "empty map to decode that place; draw a lasso to select images, or a path for a video."
    )
    column, words, layer, labels = _controls()
    found = _found(words) if words else None
    chosen = _chosen()
    left, right = st.columns([3, 2])
    with left:
        with st.container():  # progress comes and goes; the map must keep its place
            under = ground(layer)
        event = scatter(_scene(column, under, chosen, _marks(found, labels)), key="map")
    if event:
        _remember(event)
        st.rerun()
    with right:
        _show(chosen)
        if found:
            show_found(found[1])
        show_region()


def _controls() -> tuple[str, str, str, bool]:
    """Show the widgets above the map; all of them are in the address."""
    known = columns()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        column = st.selectbox(
            "Colour by", [*known, NO_COLUMN], key="colour", bind="query-params", width=200
        )
        words = st.text_input(
            "Find on the map", key="find", placeholder="words", bind="query-params", width=260
        )
        layer = st.selectbox(
            "Under the points", [NONE, MOSAIC, BLIND], key="under", bind="query-params", width=260
        )
        labels = st.toggle("Labels", value=True, key="labels", bind="query-params")
    return column, words.strip(), layer, labels


def _found(words: str) -> tuple[Points, Hits]:
    point = Query((Term(words),)).points(state.model().encoder).with_labels([words])
    return point, state.library().search(point, FOUND_IMAGES)


def _marks(found: tuple[Points, Hits] | None, labels: bool) -> list[Mark]:
    """Return what is written on the map: hits by rank, the words at their point, and regions."""
    marks: list[Mark] = []
    if found:
        point, hits = found
        places = layout().xy[hits.rows].tolist()
        marks = [Mark(x, y, "hit", str(i + 1)) for i, (x, y) in enumerate(places)]
        x, y = layout().transform(point)[0].tolist()
        marks.append(Mark(x, y, "words", point.labels[0]))
    if labels:
        marks += [Mark(*region.middle, "label", region.words) for region in regions()]
    return marks


def _scene(
    column: str, under: Ground | None, chosen: dict[str, Places], marks: list[Mark]
) -> Scene:
    thumbnails, captions = addresses(state.library())
    return Scene(
        layout().xy,
        f"Map of {len(state.library()):,} images",
        None if column == NO_COLUMN else colours(column),
        [*marks, *(Mark(*place, "place") for place in chosen.get("click", ()))],
        path=chosen.get("path", ()),
        lasso=chosen.get("lasso", ()),
        ground=under,
        thumbnails=thumbnails,
        captions=captions,
    )


def _show(chosen: dict[str, Places]) -> None:
    """Show what was chosen, and a button to clear it."""
    if "click" in chosen:
        row = st.query_params.get("row", "")
        known = row.isdecimal() and int(row) < len(state.library())
        show_place(chosen["click"][0], int(row) if known else None)
    for kind, act in SHOW.items():
        if kind in chosen:
            act(chosen[kind])
    if chosen:
        st.button("Clear", on_click=_forget)


def _remember(event: Event) -> None:
    """Put what was done into the address, in place of what was done before."""
    _forget()
    step = -(-len(event.places) // MAX_PATH_PLACES)
    text = ";".join(f"{x:.5g},{y:.5g}" for x, y in event.places[::step])
    st.query_params[event.kind] = text
    if event.row is not None:
        st.query_params["row"] = str(event.row)


def _forget() -> None:
    for name in ("click", "row", *SHOW):
        if name in st.query_params:
            del st.query_params[name]


def _chosen() -> dict[str, Places]:
    """Return what the address says was done on the map; nothing where it makes no sense."""
    least = {"click": 1, "lasso": 3, "path": 2}
    found = {name: _places(st.query_params.get(name, "")) for name in least}
    return {name: places for name, places in found.items() if len(places) >= least[name]}


def _places(text: str) -> Places:
    """Read places as `_remember` writes them.

    >>> _places("1,2;-0.5,3e-2"), _places("1,2;x"), _places("nan,1")
    (((1.0, 2.0), (-0.5, 0.03)), (), ())
    """
    try:
        pairs = [tuple(map(float, part.split(","))) for part in text.split(";")[:MAX_PATH_PLACES]]
    except ValueError:
        return ()
    whole = all(len(pair) == 2 and all(abs(v) < 1e6 for v in pair) for pair in pairs)
    return tuple((pair[0], pair[1]) for pair in pairs) if whole else ()
