"""Background: what the first click needs is loaded while the first page is looked at."""

import logging
import threading

import streamlit as st

from explorer import edits
from explorer.app import state
from explorer.app.server.decoding import result_cache
from explorer.errors import ExplorerError
from explorer.settings import Settings

THREAD = "unclip-background"
MAX_SIDE = 256  # pixels of the images of a decoder that is tried; a larger one takes long


@st.cache_resource(show_spinner=False)
def load_soon() -> threading.Thread:
    """Start loading the model, once for all sessions; call it when a page has been shown."""
    thread = threading.Thread(target=_load, name=THREAD, daemon=True)
    thread.start()
    return thread


def _load() -> None:
    """Load the model, and decode once with a small decoder: the first decoding imports much.

    It holds the turn, so that no session imports the same at the same time: of two threads that
    import diffusers one may see half of it.
    """
    cache = result_cache()
    try:
        with cache.turn:
            cache.loading = True
            _load_and_try()
            state.settle()
    except ExplorerError:  # whoever needs the model is told
        return
    except Exception:
        logging.getLogger(__name__).exception("What the first click needs was not loaded")
    finally:
        cache.loading = False


def _load_and_try() -> None:
    shown, parts = state.library(), (state.decoder_name(), state.config().prior)
    model = state.model_of(shown, *parts, loading=state.loaded_quietly)
    if len(shown) and model.decoder and max(model.decoder.image_size) <= MAX_SIDE:
        list(edits.decode(model, shown.points([0]), settings=Settings(steps=1)))
