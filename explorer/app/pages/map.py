"""The page Map: the library as a map that fills the window, and what is selected on it."""

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Literal, cast

import numpy as np
import streamlit as st
from jaxtyping import Bool

from explorer.app import state
from explorer.app.map.colouring import choices, colours, heat
from explorer.app.map.layers import LEGENDS, NONE, ground, layer_of, layers, refine
from explorer.app.map.layout import layout, regions
from explorer.app.map.panel import show_found, show_path, show_place, show_region
from explorer.app.map.scatter import Atlas, Event, Ground, Mark, Scene, scatter
from explorer.app.map.selection import (
    MAX_STROKES,
    Stroke,
    read_places,
    read_strokes,
    selected,
    write_strokes,
)
from explorer.app.map.selection_panel import combine_mode, show_selection
from explorer.app.server.thumbnails import addresses, sheet_address
from explorer.library import Hits
from explorer.notes import counted
from explorer.points import Points
from explorer.projection.colours import Colours
from explorer.projection.tiles import z_order
from explorer.query import Query, Term

STYLE = FilePath(__file__).parent.parent / "map" / "page.css"
AVOID = ".st-key-map-tools"  # what floats over the map
MAX_PATH_PLACES = 400  # of a drawn line, kept in the address
FOUND_IMAGES = 12
PICTURES = {"When near": "near", "Always": "always", "Never": "never"}
DENSITY = "Density"
Places = tuple[tuple[float, float], ...]


def page() -> None:
    """Show the map, and over it what was last clicked, drawn around, drawn along or found."""
    st.html(f"<style>{STYLE.read_text('utf-8')}</style>")
    st.title("Map")
    with st.container(key="map-tools"):
        colour, words, under, pictures, labels, region = _controls()
        coarse, fine = st.container(), st.container()  # of progress, which comes and goes
    hits = _found(words) if words else None
    places, strokes = _chosen(), read_strokes(st.query_params.get("lasso", ""))
    with coarse:
        layer = layer_of(under)
        below = ground(layer) if layer else None
    mask = selected(strokes, layout().xy) if strokes else None
    scene = _scene(_colours(colour, words), below, places, _marks(hits, places, labels))
    with st.container(key="map-stage"):
        event = scatter(_with(scene, strokes, mask, pictures, under == DENSITY), key="map")
    if event:
        _remember(event, strokes)
        st.rerun()
    if places or strokes or hits or region:
        with st.container(key="map-drawer"):
            _drawer(places, mask, hits, region)
    with fine:
        if layer and below and refine(layer):
            st.rerun()


def _controls() -> tuple[str, str, str, str, bool, str]:
    """Show the widgets that float over the map; all of them are in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        words = st.text_input("Find on the map", key="find", placeholder="words",
                              bind="query-params", width=210)  # fmt: skip
        colour = st.selectbox("Colour by", choices(), key="colour", bind="query-params", width=170)
        with st.popover("Display"):
            below = [DENSITY, NONE, *layers()]
            under = st.selectbox("Under the points", below, key="under", bind="query-params")
            pictures = st.selectbox("Points as images", list(PICTURES), key="pictures",
                                    bind="query-params")  # fmt: skip
            labels = st.toggle("Labels", value=True, key="labels", bind="query-params")
            names = [region.words for region in regions()]
            region = st.selectbox("Region", ["", *names], key="region", bind="query-params")
    if under in LEGENDS:
        with st.container(key="map-legend"):
            st.caption(LEGENDS[under])
    return colour, words.strip(), under, PICTURES[pictures], labels, region


def _drawer(
    places: dict[str, Places],
    mask: Bool[np.ndarray, " N"] | None,
    hits: tuple[Points, Hits] | None,
    region: str,
) -> None:
    """Show what was chosen, and a button that closes it all."""
    with st.container(key="map-close"):
        st.button("Clear", on_click=_clear)
    if "click" in places:
        row = st.query_params.get("row", "")
        known = row.isdecimal() and int(row) < len(state.library())
        show_place(places["click"][0], int(row) if known else None)
    if mask is not None:
        show_selection(np.flatnonzero(mask))
    if "path" in places:
        show_path(places["path"])
    if hits:
        show_found(hits[1])
    if region:
        show_region(region)


def _found(words: str) -> tuple[Points, Hits]:
    point = Query((Term(words),)).points(state.model().encoder).with_labels([words])
    return point, state.library().search(point, FOUND_IMAGES)


def _colours(name: str, words: str) -> Colours | None:
    """Return how well words match, as colours, where any image matches; else what was chosen."""
    if words:
        point = _found(words)[0]
        matching = state.library().search(point, len(state.library()), min_score="auto")
        if (warm := heat(words, matching)) is not None:
            return warm
    return colours(name)


def _marks(
    found: tuple[Points, Hits] | None, places: dict[str, Places], labels: bool
) -> list[Mark]:
    """Return what is written on the map: hits by rank, the words at their point, and regions."""
    marks: list[Mark] = []
    if found:
        point, hits = found
        at = layout().xy[hits.rows].tolist()
        marks = [Mark(x, y, "hit", str(i + 1)) for i, (x, y) in enumerate(at)]
        x, y = layout().transform(point)[0].tolist()
        marks.append(Mark(x, y, "words", point.labels[0]))
    if labels:
        marks += [Mark(*r.middle, "label", r.words, r.radius, r.level) for r in regions()]
    return [*marks, *(Mark(*place, "place") for place in places.get("click", ()))]


def _scene(
    colours: Colours | None, under: Ground | None, places: dict[str, Places], marks: list[Mark]
) -> Scene:
    thumbnails, captions = addresses(state.library())
    return Scene(
        layout().xy,
        f"Map of {counted(len(state.library()))}",
        colours,
        marks,
        path=places.get("path", ()),
        ground=under,
        thumbnails=thumbnails,
        captions=captions,
        height=0,
        avoid=AVOID,
    )


def _with(
    scene: Scene,
    strokes: list[Stroke],
    mask: Bool[np.ndarray, " N"] | None,
    pictures: str,
    density: bool,
) -> Scene:
    return replace(
        scene,
        lasso=strokes[-1].border if strokes else (),
        selected=mask,
        pictures=cast(Literal["near", "always", "never"], pictures),
        atlas=Atlas(sheet_address(state.library()), z_order(scene.xy)),
        density=density,
    )


def _remember(event: Event, strokes: list[Stroke]) -> None:
    """Put what was done into the address: a lasso joins those before if asked, else all is new."""
    _forget()
    step = -(-len(event.places) // MAX_PATH_PLACES)
    places = event.places[::step]
    if event.kind == "lasso":
        mode = combine_mode()
        before = [] if mode == "new" else strokes[:MAX_STROKES]
        if len(before) == MAX_STROKES:  # the drawer says so
            st.query_params["lasso"] = write_strokes(before)
            return
        st.query_params["lasso"] = write_strokes([*before, Stroke(mode, places)])
        return
    st.query_params[event.kind] = ";".join(f"{x:.5g},{y:.5g}" for x, y in places)
    if event.row is not None:
        st.query_params["row"] = str(event.row)


def _forget() -> None:
    for name in ("click", "row", "lasso", "path"):
        if name in st.query_params:
            del st.query_params[name]


def _clear() -> None:
    _forget()
    for name in ("find", "region"):
        st.session_state[name] = ""


def _chosen() -> dict[str, Places]:
    """Return which place and path the address names; nothing where it makes no sense."""
    least = {"click": 1, "path": 2}
    found = {name: read_places(st.query_params.get(name, "")) for name in least}
    return {name: places for name, places in found.items() if len(places) >= least[name]}
