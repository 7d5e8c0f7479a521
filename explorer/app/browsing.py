"""All images of the library, page by page, narrowed by words in their names and by columns."""

from typing import Any

import numpy as np
import streamlit as st
from jaxtyping import Int

from explorer.app import outputs, state
from explorer.app.pages import hit
from explorer.notes import counted

PAGE_IMAGES = 36
WIDTH = 110  # pixels of a tile
MAX_FILTER_VALUES = 200  # of a column, to choose from
PAGE = "page"  # in the address


def filters() -> dict[str, list[Any]]:
    """Show fields for columns and their values; return the wanted values."""
    rows, where = state.library().rows, {}
    columns = st.multiselect("Filter by columns", state.library().columns, key="columns",
                             bind="query-params")  # fmt: skip
    for name in columns:
        values = rows[name].value_counts().index[:MAX_FILTER_VALUES]
        wanted = st.multiselect(f"… {outputs.escaped(name)} is one of", list(map(str, values)),
                                key=f"is_{name}", bind="query-params")  # fmt: skip
        if wanted:
            where[name] = wanted
    return where


def page_number(last: int) -> int:
    """Read the page from the address; the nearest there is."""
    text = st.query_params.get(PAGE, "1")
    if text.isdecimal() and 1 <= int(text) <= max(1, last):
        return int(text)
    outputs.unknown(PAGE, text, f"a number from 1 to {max(1, last):,}")
    return min(int(text), max(1, last)) if text.isdecimal() and int(text) else 1


def turn_pages(page: int, last: int) -> None:
    """Show buttons for the pages before and after."""
    if last < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", disabled=page == 1, on_click=_go_to, args=(page - 1,))
        st.button("Next", disabled=page == last, on_click=_go_to, args=(page + 1,))
        st.caption(f"Page {page:,} of {last:,}")


def _go_to(page: int) -> None:
    st.query_params[PAGE] = str(page)


def browse() -> None:
    """Show the images, in the order of the library."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input("Name or caption contains", key="named", bind="query-params",
                              width=260).strip()  # fmt: skip
    with st.expander("Filters"):
        where = filters()
    rows = _matching(words, where)
    last = -(-len(rows) // PAGE_IMAGES)
    page = page_number(last)
    if not len(rows):
        st.info("No image has such a name and such values: remove words or filters.")
        return
    narrowed = f"{len(rows):,} of " if len(rows) < len(state.library()) else ""
    st.caption(narrowed + counted(len(state.library())))
    with st.container(horizontal=True, key=f"{outputs.EVEN}-browse"):
        for row in map(int, rows[(page - 1) * PAGE_IMAGES : page * PAGE_IMAGES]):
            with st.container(width=WIDTH):
                text = state.caption(row)
                outputs.show(state.thumbnail(row), text, width=WIDTH)
                st.button("Open", key=f"browse-{row}", on_click=hit.open_row, args=(row,),
                          type="tertiary", help=f"Open: {outputs.escaped(text)}")  # fmt: skip
    turn_pages(page, last)
    hit.show_opened()


def _matching(words: str, where: dict[str, list[Any]]) -> Int[np.ndarray, " N"]:
    """Return the rows whose name or caption holds the words, and whose columns fit."""
    table = state.library().rows
    fits = np.ones(len(table), dtype=bool)
    for name, wanted in where.items():
        fits &= table[name].astype(str).isin(wanted).to_numpy()
    if words:
        named = [table[name] for name in ("item", "caption") if name in table.columns]
        held = [each.astype(str).str.contains(words, case=False, regex=False) for each in named]
        fits &= np.logical_or.reduce([each.to_numpy(dtype=bool) for each in held])
    return np.flatnonzero(fits)
