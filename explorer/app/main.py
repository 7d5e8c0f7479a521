"""Main: the list of pages."""

import streamlit as st

from explorer.app import state
from explorer.app.outputs import EVEN, SQUARE, sentences
from explorer.app.pages import axes, compare, diff, features, library, map, search, vary, walk
from explorer.app.server.background import load_soon
from explorer.app.widgets.history import step_through_views
from explorer.errors import ExplorerError

PAGES = {  # address → title and function
    "map": ("Map", map.page),
    "search": ("Search", search.page),
    "diff": ("Text diff", diff.page),
    "walk": ("Walk", walk.page),
    "vary": ("Variations", vary.page),
    "axes": ("Concept axes", axes.page),
    "features": ("Features", features.page),
    "compare": ("Compare", compare.page),
    "library": ("Library", library.page),
}
DECODING = ("vary", "compare")  # without a decoder, they have nothing to show
# Streamlit's own shades of captions, of chosen buttons and of sliders' values have too little
# contrast (WCAG 1.4.3), in the dark too.
STYLE = f"""
.stMainBlockContainer {{ padding-top: 4rem; padding-bottom: 3rem; }}
[class*="st-key-{SQUARE}-"] img {{ aspect-ratio: 1; object-fit: cover; }}
[class*="st-key-{EVEN}-"] img {{ aspect-ratio: 1; object-fit: contain; }}
:is([class*="st-key-{SQUARE}-"], [class*="st-key-{EVEN}-"]) [data-testid="stCaptionContainer"] p
{{ display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
min-height: 2lh; overflow-wrap: anywhere; }}
[data-testid="stCaptionContainer"] {{ opacity: 0.8 !important; }}
button[data-selected="true"] p, [data-testid="stSliderThumbValue"] p {{ color: CanvasText; }}
"""


def run() -> None:
    """Show the page that the address asks for, or the first."""
    st.set_page_config("unclip explorer", layout="wide")
    st.html(f"<style>{STYLE}</style>")
    step_through_views()
    first = next(iter(PAGES))

    def shown(address: str) -> bool:
        try:
            compares = address == "compare" and bool(state.config().compare)
            return address not in DECODING or compares or state.has_decoder()
        except ExplorerError:  # the page says what is wrong
            return True

    pages = [
        st.Page(
            sentences(page),
            title=title,
            url_path=address if address != first else "start",  # it has the empty address
            default=address == first,
            visibility="visible" if shown(address) else "hidden",
        )
        for address, (title, page) in PAGES.items()
    ]

    def at_first() -> None:
        """Go from the first page's name to the empty address, where Streamlit has it."""
        st.switch_page(pages[0], query_params=st.query_params.to_dict())

    named = st.Page(at_first, title="Map", url_path=first, visibility="hidden")
    st.navigation([*pages, named], position="top").run()
    load_soon()
