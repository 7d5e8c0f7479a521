"""Previews: what few steps show, at once, before the edit is decoded as it was asked for."""

import time
from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from explorer.app.server.decoding import decoded, is_decoded
from explorer.rendering import Rendering, decoder_of

PREVIEW_STEPS = 4
PAUSE_SECONDS, PARTS = 0.3, 6  # before the long decoding, and how often a person may end it


def roughly(whole: Rendering, frames: int) -> Rendering:
    """Return the same path in so many frames of few steps, which come soon."""
    recipe = whole.recipe
    rough = replace(
        recipe.settings,
        steps=min(PREVIEW_STEPS, recipe.settings.steps or PREVIEW_STEPS),
        solver=decoder_of(whole.model).preview_solver if recipe.noise is None else "ddim",
    )
    return Rendering(whole.model, replace(recipe, count=frames, settings=rough))


def rough_first(edit: Rendering, show: Callable[[Rendering], object]) -> Rendering | None:
    """Show an edit decoded in few steps, then as it is; None if the person cancelled.

    What was shown before stays until then. A person who moves a slider on meanwhile waits for
    previews alone: the long decoding begins after a pause.

    Args:
        show: shows the images.
    """
    slot = st.container()
    if is_decoded(edit):
        place = slot.empty()
    else:
        rough = decoded(roughly(edit, len(edit)), "Decoding a preview")
        if rough is None:
            return None
        place = slot.empty()
        with place.container():
            show(rough)
        _pause()
    rendering = decoded(edit)
    if rendering is not None:
        with place.container():
            show(rendering)
    return rendering


def _pause() -> None:
    """Wait a moment, in parts: Streamlit ends a script that is no longer needed at the next."""
    place = st.empty()
    for _ in range(PARTS):
        time.sleep(PAUSE_SECONDS / PARTS)
        place.empty()
