"""What the page Map shows of a selection: images, words, files, a column, and a comparison."""

import functools
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import streamlit as st
from jaxtyping import Bool, Int

from explorer.app import outputs, state
from explorer.app.map.layout import name_of_selection
from explorer.app.map.selection import MAX_STROKES, read_strokes, write_chosen, write_strokes
from explorer.groups import probe
from explorer.library import Library
from explorer.notes import counted
from explorer.regions import captions_of, region_names

MAX_TILES = 24
MAX_EXAMPLES = 200  # of each side that a probe is fitted to
SMALL = 110  # pixels
YES = "yes"  # the value of a kept selection, in its column
NEXT = {"New": "new", "Add": "add", "Subtract": "sub"}
REST = "the rest"


def combine_mode() -> str:
    """Return what the next lasso does to the selection: "new", "add" or "sub"."""
    return NEXT.get(st.session_state.get("next") or "", "new")


def show_selection(rows: Int[np.ndarray, " K"]) -> None:
    """Show what the lassos enclose: images, a table, files, and what tells them from others."""
    st.subheader(f"{counted(len(rows))} selected")
    st.segmented_control("The next lasso", list(NEXT), default="New", key="next")
    borders = len(read_strokes(st.query_params.get("lasso", "")))
    if borders > 1:
        st.button("Undo", on_click=_undo)
    if borders == MAX_STROKES:
        st.caption(f"A selection has at most {MAX_STROKES} borders: no more are added. Keep it as "
                   "a column, or start a new one.")  # fmt: skip
    if not len(rows):
        return
    if name := name_of_selection(rows):
        st.caption(f"What tells them from the others: {outputs.escaped(name)}")
    _show_rows(rows)
    _offer_files(rows)
    if not state.config().read_only:
        _keep(rows)
    _compare(rows)


def _undo() -> None:
    strokes = read_strokes(st.query_params.get("lasso", ""))
    st.query_params["lasso"] = write_strokes(strokes[:-1])


def _show_rows(rows: Int[np.ndarray, " K"]) -> None:
    library = state.library()
    images, table = st.tabs(["Images", "Table"])
    with images:
        shown = [int(row) for row in rows[:MAX_TILES]]
        thumbnails = [state.thumbnail(row) for row in shown]
        outputs.tiles(thumbnails, [state.caption(row) for row in shown], width=SMALL)
        if len(rows) > MAX_TILES:
            st.caption(f"The first {MAX_TILES} are shown; the table and the files have all.")
    with table:
        st.dataframe(library.rows.iloc[rows][["item", *library.columns]], hide_index=True)


def _offer_files(rows: Int[np.ndarray, " K"]) -> None:
    with st.container(horizontal=True):
        for name, label in (
            ("chosen.csv", "Table as CSV"),
            ("chosen.parquet", "Table as Parquet"),
            ("chosen.zip", "New library"),
        ):
            write = functools.partial(write_chosen, state.library(), rows)
            content = functools.partial(outputs.content_of, name, write)
            st.download_button(label, content, name, key=name, on_click="ignore")


def _keep(rows: Int[np.ndarray, " K"]) -> None:
    """Keep the selection as a column of the library, which every page and command knows."""
    with st.form("keep", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", key="keep-name", width=200).strip()
        asked = st.form_submit_button("Keep as column")
    if asked and name in state.library().rows.columns:
        st.error(f"The library has a column {outputs.escaped(name)} already: type another name.")
    elif asked and name:
        inside = np.isin(np.arange(len(state.library())), rows)
        _write({name: [YES if each else None for each in inside]})
        st.session_state["kept"] = f"The library now has {name} = {YES} for {counted(len(rows))}."
        st.rerun()
    if told := st.session_state.pop("kept", ""):
        st.success(outputs.escaped(told))


def _write(columns: dict[str, list[Any]]) -> None:
    Library.open(state.library().folder).set_columns(columns)  # all sessions read the other object


def _compare(rows: Int[np.ndarray, " K"]) -> None:
    """Show the words that tell the selection from another, and score all images by the two."""
    others = _others()
    name = st.selectbox("Compare with", [REST, *others], key="compare")
    inside = np.isin(np.arange(len(state.library())), rows)
    other = others[name]() & ~inside if name in others else ~inside
    if not other.any():
        return
    if name != REST:
        sides = zip(inside, other, strict=True)
        labels = ["A" if own else "B" if against else None for own, against in sides]
        guessed = "" if captions_of(state.library(), rows) else "?"
        for label, found in region_names(state.library(), labels).items():
            side = "The selection" if label == "A" else outputs.escaped(name)
            words = f"{found.words}{guessed} (AUC {found.auc:.2f})" if found else "no word tells it"
            st.markdown(f"{side}: **{outputs.escaped(words)}**")
    if not state.config().read_only and min(inside.sum(), other.sum()) > 1:
        _score(name, inside, other)


def _score(name: str, inside: Bool[np.ndarray, " N"], other: Bool[np.ndarray, " N"]) -> None:
    title = _free(f"selection or {name}")
    if st.button("Score all images", help="by a linear probe of the two; a column keeps it"):
        draw = np.random.default_rng(0).permutation
        own, rest = (draw(np.flatnonzero(side))[:MAX_EXAMPLES] for side in (inside, other))
        found = probe(state.library(), own.tolist(), rest.tolist())
        _write({title: found.scores.tolist()})
        st.session_state["kept"] = (
            f"The column {title} has the scores; the probe tells {found.accuracy:.0%} of held-out "
            "examples rightly, and chance 50%."
        )
        st.rerun()


def _free(name: str) -> str:
    """Return a name that no column has: this one, or it with a number."""
    taken, tried = state.library().columns, name
    for number in count(2):
        if tried not in taken:
            break
        tried = f"{name} {number}"
    return tried


def _others() -> dict[str, Callable[[], Bool[np.ndarray, " N"]]]:
    """Return the selections that were kept, by name."""
    rows = state.library().rows
    kept = [name for name in state.library().columns if set(rows[name].dropna()) == {YES}]
    return {name: functools.partial(_is_kept, name) for name in kept}


def _is_kept(name: str) -> Bool[np.ndarray, " N"]:
    return np.asarray(state.library().rows[name].eq(YES).fillna(False), dtype=bool)
