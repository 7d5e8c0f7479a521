"""The list of pages."""

import streamlit as st

from explorer.app import axes, contents, diff, map, search, vary, walk
from explorer.app.show import sentences

PAGES = {  # address → title and function
    "search": ("Search", search.page),
    "map": ("Map", map.page),
    "diff": ("Text diff", diff.page),
    "walk": ("Walk", walk.page),
    "vary": ("Variations", vary.page),
    "axes": ("Concept axes", axes.page),
    "library": ("Library", contents.page),
}


def run() -> None:
    """Show the page that the address asks for, or the first."""
    st.set_page_config("unclip explorer", layout="wide")
    first = next(iter(PAGES))
    pages = [
        st.Page(sentences(page), title=title, url_path=address, default=address == first)
        for address, (title, page) in PAGES.items()
    ]
    st.navigation(pages, position="top").run()
