"""One image of the library, opened large, with what can be done from it."""

import streamlit as st

from explorer.app import outputs, retrieved, state
from explorer.errors import ExplorerError
from explorer.images import fitted

OPEN = "open"  # in the address
SIDE = 640  # pixels
NEIGHBOURS = 6


def open_row(row: int) -> None:
    """Open an image; for callbacks. The address keeps it."""
    st.query_params[OPEN] = str(row)


def show_opened() -> None:
    """Show the image that the address opens, if there is one."""
    text = st.query_params.get(OPEN, "")
    if text.isdecimal() and int(text) < len(state.library()):
        _show(int(text))
    elif text:
        st.warning(f"The library has no image {outputs.escaped(text)} to open: remove “open” from "
                   "the address.")  # fmt: skip


def _close() -> None:
    st.query_params.pop(OPEN, None)


@st.dialog("Image", width="large", on_dismiss=_close)
def _show(row: int) -> None:
    """Show an image with its caption, file and neighbours."""
    library = state.library()
    words = state.caption(row)
    try:
        image = library.open_image(row)
        outputs.show(fitted(image, min(SIDE, max(image.size))), words, width=SIDE)
    except ExplorerError as error:
        st.warning(outputs.escaped(error))
    st.code(str(library.rows["item"].iloc[row]), None, wrap_lines=True)
    ways = {"Start a text diff from here": "diff", "Walk from here": "walk"}
    if retrieved.decodes():
        ways["Decode this"] = "vary"
    with st.container(horizontal=True):
        for label, page in ways.items():
            field = "walk_0" if page == "walk" else page
            st.link_button(label, f"{page}?{field}_kind=Library&{field}_row={row}")
    st.markdown("**Nearest others**")
    others = library.search(library.points([row]), NEIGHBOURS, exclude=[row])
    outputs.found(others, width=90, key="neighbours")
