"""Main: the list of pages."""

import streamlit as st

from explorer.app import state
from explorer.app.outputs import sentences
from explorer.app.pages import axes, diff, library, map, search, vary, walk
from explorer.errors import ExplorerError

PAGES = {  # address → title and function
    "map": ("Map", map.page),
    "search": ("Search", search.page),
    "diff": ("Text diff", diff.page),
    "walk": ("Walk", walk.page),
    "vary": ("Variations", vary.page),
    "axes": ("Concept axes", axes.page),
    "library": ("Library", library.page),
}
DECODING = ("vary",)  # without a decoder, they have nothing to show
CLOSER = ".stMainBlockContainer { padding-top: 4rem; padding-bottom: 3rem; }"  # less empty space


def run() -> None:
    """Show the page that the address asks for, or the first."""
    st.set_page_config("unclip explorer", layout="wide")
    st.html(f"<style>{CLOSER}</style>")
    first = next(iter(PAGES))

    def decodes() -> bool:
        try:
            return state.has_decoder()
        except ExplorerError:  # the page says what is wrong
            return True

    pages = [
        st.Page(
            sentences(page),
            title=title,
            url_path=address,
            default=address == first,
            visibility="hidden" if address in DECODING and not decodes() else "visible",
        )
        for address, (title, page) in PAGES.items()
    ]
    st.navigation(pages, position="top").run()
