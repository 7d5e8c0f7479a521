"""How far what is decoded lies from real images, in words: there a decoder has seen nothing."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from jaxtyping import Bool

from explorer.app import state
from explorer.app.map.layout import support
from explorer.app.outputs import escaped
from explorer.points import Points
from explorer.support import Support

MIN_SUPPORT_IMAGES = 30  # fewer tell nothing about what is usual
TRAINED, SHOWN = "that the decoder was trained on", "of this library"
MEASURE = "Far: farther from its nearest images than 99 % of held-out real images are from theirs."


def say_support(
    points: Points, times: Sequence[float] | np.ndarray | None = None, what: str = "frames"
) -> None:
    """Say whether points lie near the images that the decoder knows, or those of the library.

    Args:
        times: of each point on a path.
        what: what several of them are called.
    """
    judged = judged_by()
    if judged is None or points.side != "image":
        return
    outside = judged[0].outside(points)
    sentence = escaped(told(outside, judged[1], times, what))
    if outside.any():
        st.warning(sentence, icon=":material/explore_off:")
    else:
        st.caption(sentence, help=MEASURE)


def told(
    outside: Bool[np.ndarray, " N"],
    which: str,
    times: Sequence[float] | np.ndarray | None = None,
    what: str = "frames",
) -> str:
    """Return the sentence for points, of which some are `outside` of the images known.

    >>> told(np.array([True]), TRAINED)
    'Far from every image that the decoder was trained on: expect an invented picture.'
    >>> told(np.array([False, True, True]), SHOWN, [0, 0.5, 1])
    '2 of 3 frames, t = 0.50 to 1.00, are far from every image of this library: expect invention.'
    """
    count, far = len(outside), int(outside.sum())
    if count == 1:
        return (
            f"Far from every image {which}: expect an invented picture."
            if far
            else f"Close to images {which}."
        )
    if not far:
        return f"All {count} {what} are close to images {which}."
    number = f"All {count} {what}" if far == count else f"{far} of {count} {what}"
    places = np.flatnonzero(outside)
    if times is not None and far < count and np.ptp(places) == far - 1:
        first, last = times[places[0]], times[places[-1]]
        number += f", t = {first:.2f}" + (f" to {last:.2f}," if far > 1 else ",")
    return f"{number} {'are' if far > 1 else 'is'} far from every image {which}: expect invention."


def judged_by() -> tuple[Support, str] | None:
    """Return what support is judged by, and which images these are; None if there are too few."""
    model = state.model()
    if model.support is not None and not model.decoder_from:
        return model.support, TRAINED
    return (support(), SHOWN) if len(state.library()) >= MIN_SUPPORT_IMAGES else None
