"""The page Compare: two models over the same images, or decoders of the same points."""

import shlex
from collections.abc import Sequence

import numpy as np
import streamlit as st
from jaxtyping import Float, Int
from PIL import Image

from explorer.app import browsing, outputs, retrieved, state
from explorer.app.agreement import Agreement, agreement, places
from explorer.app.inputs import ask
from explorer.app.map.scatter import Mark, Scene, scatter
from explorer.app.server.decoding import decoded, embedded
from explorer.app.server.thumbnails import addresses
from explorer.app.support_words import TRAINED, judged_by, say_support
from explorer.edits import decode
from explorer.library import Library
from explorer.models import Model
from explorer.projection.colours import shades
from explorer.settings import Settings

IMAGES = "The images themselves"
COUNT = 8  # images that are decoded
WIDTH = 150  # pixels
SMALL = 84
LISTED = 12  # images of one page of the list
SHOWN_NEIGHBOURS = 8
HEIGHT = 380  # of each map
ROW = "row"  # in the address


def page() -> None:
    """Ask what to compare with, then show where both differ most."""
    st.title("Compare")
    st.caption("Shows where two models, or two decoders, differ most about your images.")
    choices = _choices()
    if not choices or not len(state.library()):
        _say_how()
        return
    other = st.selectbox("Compare with", choices, key="compare", bind="query-params", width=420)
    if state.is_library(other):
        _models(state.opened(other))
    else:
        _decoders(other)


def _choices() -> list[str]:
    """Return what can be compared here: other libraries, and where it decodes, decoders."""
    given = state.config().compare
    libraries = [each for each in given if state.is_library(each)]
    if not retrieved.decodes():
        return libraries
    return [*given, IMAGES]


def _say_how() -> None:
    folder = shlex.quote(str(state.library().folder))
    st.info(
        "There is nothing to compare with yet. Index the same images with another model, and name "
        "that library when you start the dashboard:"
    )
    st.code(f"unclip index IMAGES --library other.lib --model MODEL\n"
            f"unclip app {folder} --compare other.lib", "bash")  # fmt: skip


def _decoders(other: str) -> None:
    """Decode the same points twice, and show what differs most first."""
    left, right = st.columns([1, 2], gap="large")
    with left:
        like = ask("Images like", "like")
        count = st.slider("Number of images", 2, 24, COUNT, key="compare_n", bind="query-params")
        seed = st.number_input("Seed", 0, 9999, key="compare_seed", bind="query-params")
    library = state.library()
    if like is None:
        rows = np.unique(np.linspace(0, len(library) - 1, count).round().astype(int))
    else:
        rows = library.search(like.query.points(state.model().encoder), count).rows
    with right:
        _side_by_side(rows, other, seed)


def _side_by_side(rows: Int[np.ndarray, " N"], other: str, seed: int) -> None:
    library, settings = state.library(), Settings(seed=seed)
    points = library.points(rows)
    first = decoded(decode(state.model(), points, settings=settings))
    seen = embedded(first) if first else None
    if first is None or seen is None:
        return
    columns: list[tuple[str, Sequence[Image.Image | bytes]]] = [
        ("the image", [state.thumbnail(int(row)) for row in rows]),
        (_short(state.decoder_name() or state.model().name), list(first)),
    ]
    compared = points
    if other != IMAGES:
        second = decoded(decode(_model(other), points, settings=settings))
        told = embedded(second) if second else None
        if second is None or told is None:
            return
        columns.append((_short(other), list(second)))
        compared = told
    judged = judged_by()
    if judged is not None and judged[1] == TRAINED:  # the library is near its own images
        say_support(points, what="images")
    _pairs(rows, columns, (seen.unit * compared.unit).sum(axis=1))


def _pairs(
    rows: Int[np.ndarray, " N"],
    columns: Sequence[tuple[str, Sequence[Image.Image | bytes]]],
    alike: Float[np.ndarray, " N"],
) -> None:
    """Show what stands in the columns beside each other, what is least alike first."""
    names = ", ".join(name for name, _ in columns)
    st.caption(
        f"In this order: {outputs.escaped(names)}. Below, the cosine of what the last two "
        "show, as the library's model sees it; those that differ most come first."
    )
    with st.container(horizontal=True):
        for i in map(int, np.argsort(alike, kind="stable")):
            words = state.caption(int(rows[i]))
            with st.container(width=(WIDTH + 16) * len(columns), gap="small"):
                with st.container(horizontal=True, key=f"{outputs.SQUARE}-{i}", gap="small"):
                    for name, images in columns:
                        st.image(images[i], width=WIDTH, alt=f"{name}: {words}")
                st.caption(f"{alike[i]:.2f} {outputs.escaped(words)}")


def _model(decoder: str) -> Model:
    loaded = state.loaded_model(state.library().model, decoder, state.config().prior)
    loaded.space.check(state.library().space, f"{decoder} decodes another space.")
    return loaded


def _short(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _models(there: Library) -> None:
    """Show how far two models agree, on two maps, and image by image."""
    found = agreement(there)
    if len(found.rows) < 3:
        st.warning(f"The libraries share {len(found.rows)} files, and a comparison needs 3: index "
                   "the same images with both models.")  # fmt: skip
        return
    here = state.library()
    with st.container(horizontal=True):
        st.metric("Shared images", f"{found.shared:,}", width="content")
        st.metric(
            "Common neighbours",
            f"{found.overlap.mean():.0%}",
            width="content",
            help="The mean share of an image's 10 nearest that both models agree on.",
        )
        st.metric("By chance", f"{found.chance:.0%}", width="content")
    if found.shared > len(found.rows):
        st.caption(f"{len(found.rows):,} of them are compared: a sample, drawn at random.")
    place = _place(found)
    near = None if place is None else found.near(place, here, there, SHOWN_NEIGHBOURS)
    left, right = st.columns(2, gap="medium")
    with left:
        _map(found, here, found.rows, place, near and near[0])
    with right:
        _map(found, there, found.others, place, near and near[1])
    st.caption("Colours say how many neighbours both models agree on. Click an image to see its "
               "neighbours on both maps.")  # fmt: skip
    if place is not None and near is not None:
        _neighbours(found, (here.model, there.model), near, place)
    _list(found)


def _place(found: Agreement) -> int | None:
    """Return which image the address names, as a place among the shared ones."""
    text = st.query_params.get(ROW, "")
    wanted = int(text) if text.isdecimal() else -1
    where = np.flatnonzero(found.rows == wanted)
    if len(where):
        return int(where[0])
    if text:
        outputs.unknown(ROW, text, "the number of an image that both libraries hold")
    return None


def _map(
    found: Agreement,
    shown: Library,
    rows: Int[np.ndarray, " N"],
    place: int | None,
    near: Int[np.ndarray, " K"] | None,
) -> None:
    """Show one map of the shared images, with the neighbours of the chosen one by its model."""
    here = state.library()
    xy = places(shown, shown.cache_key)[rows]
    marks = []
    if place is not None and near is not None:
        (x, y), spots = xy.tolist()[place], xy[near].tolist()
        marks = [Mark(u, v, "hit", str(i + 1)) for i, (u, v) in enumerate(spots)]
        marks.append(Mark(x, y, "place"))
    every = len(found.rows) == len(here) and (found.rows == np.arange(len(here))).all()
    thumbnails, captions = addresses(here) if every else ("", "")
    st.markdown(f"**{outputs.escaped(shown.model)}**")
    scene = Scene(
        xy,
        f"Map by {shown.model}",
        shades("Common neighbours", found.overlap),
        marks,
        thumbnails=thumbnails,
        captions=captions,
        height=HEIGHT,
        remembers=False,
        tools=("look",),
    )
    event = scatter(scene, key=f"compare-{'here' if shown is here else 'there'}")
    if event and event.kind == "click" and event.row is not None:
        _choose(int(found.rows[event.row]))
        st.rerun()


def _choose(row: int) -> None:
    st.query_params[ROW] = str(row)


def _neighbours(
    found: Agreement,
    models: tuple[str, str],
    near: tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]],
    place: int,
) -> None:
    """Show the nearest images by both models, and which of them only one finds."""
    row = int(found.rows[place])
    st.subheader(outputs.escaped(state.caption(row)))
    outputs.show(state.thumbnail(row), state.caption(row))
    for i, (model, own) in enumerate(zip(models, near, strict=True)):
        st.markdown(f"**Nearest by {outputs.escaped(model)}**")
        rows = list(map(int, found.rows[own]))
        alone = np.isin(own, near[1 - i], invert=True)
        words = [
            f"{state.caption(each)}{' (only here)' * only}"
            for each, only in zip(rows, alone.tolist(), strict=True)
        ]
        with st.container(key=f"{outputs.SQUARE}-near-{i}"):
            outputs.tiles([state.thumbnail(each) for each in rows], words, width=SMALL)


def _list(found: Agreement) -> None:
    """Show the images whose neighbours differ most."""
    st.subheader("Neighbours that differ most")
    order = found.order()
    last = -(-len(order) // LISTED)
    page = browsing.page_number(last)
    with st.container(horizontal=True, key=f"{outputs.SQUARE}-list"):
        for place in order[(page - 1) * LISTED : page * LISTED]:
            row = int(found.rows[place])
            with st.container(width=SMALL):
                text = f"{found.overlap[place]:.0%} {state.caption(row)}"
                outputs.show(state.thumbnail(row), text, width=SMALL)
                st.button("Compare", key=f"compare-{row}", on_click=_choose, args=(row,),
                          type="tertiary", help=f"Compare: {outputs.escaped(text)}")  # fmt: skip
    browsing.turn_pages(page, last)
    _offer(found)


def _offer(found: Agreement) -> None:
    order = found.order()
    table = state.library().rows.iloc[found.rows[order]][["item"]].copy()
    table.insert(0, "common_neighbours", found.overlap[order].round(4))
    st.download_button("Table as CSV", lambda: table.to_csv(index_label="row").encode(),
                       "compare.csv", on_click="ignore")  # fmt: skip
