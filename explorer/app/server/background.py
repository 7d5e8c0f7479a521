"""Background: what the first click needs is loaded while the first page is looked at."""

import logging
import threading

import streamlit as st

from explorer import edits
from explorer.app import state
from explorer.app.server.decoding import result_cache
from explorer.errors import ExplorerError
from explorer.models.light import IMPORTING
from explorer.settings import Settings

THREAD = "unclip-background"
ENDING_SECONDS = 30  # that the end of the process waits at most for what is under way
MAX_SIDE = 256  # pixels of the images of a decoder that is tried; a larger one takes long


@st.cache_resource(show_spinner=False)
def load_soon() -> threading.Thread:
    """Start loading the model, once for all sessions; call it when a page has been shown.

    The end of the process waits for it: Python ends daemon threads where they next ask for its
    lock, which within torch aborts the process.
    """
    thread = threading.Thread(target=_load, name=THREAD, daemon=True)
    thread.start()
    threading.Thread(target=_outlast, args=(thread,), name=THREAD + "-end").start()
    return thread


def _outlast(thread: threading.Thread) -> None:
    """Hold the end of the process up, before any package has put its things away."""
    threading.main_thread().join()
    thread.join(ENDING_SECONDS)


def _load() -> None:
    """Load the model, and decode once with a small decoder: the first decoding imports much.

    It holds the turn, so that no session imports the same at the same time: of two threads that
    import diffusers one may see half of it.
    """
    cache = result_cache()
    try:
        with cache.turn:
            cache.loading = True
            try:
                _load_and_try()
                state.settle()
            finally:
                cache.loading = False
    except ExplorerError:  # whoever needs the model is told
        return
    except Exception:  # no page runs here that could show it; the click that needs it meets it too
        logging.getLogger(__name__).exception("What the first click needs was not loaded")


def _load_and_try() -> None:
    shown, parts = state.library(), (state.decoder_name(), state.config().prior)
    model = state.model_of(shown, *parts, loading=state.loaded_quietly)
    with IMPORTING:
        if len(shown) and model.decoder and max(model.decoder.image_size) <= MAX_SIDE:
            list(edits.decode(model, shown.points([0]), settings=Settings(steps=1)))
        _ = model.encoder.whole  # which the first image that is encoded needs
