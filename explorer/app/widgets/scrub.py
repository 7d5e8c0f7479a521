"""A slider with the image of every place on it: dragging is answered in the browser."""

from collections.abc import Sequence
from pathlib import Path as FilePath

import streamlit as st
from PIL import Image

from explorer.app.server.media import image_address

HERE = FilePath(__file__).parent
_HTML = """<div class="scrub"><img alt=""><div><label for="t"></label><output></output></div>
<input id="t" type="range" min="0" max="1" step="0.01"></div>"""


def scrub(
    frames: Sequence[Image.Image],
    name: str,
    *,
    key: str,
    at: float = 0.0,
    exact: Image.Image | None = None,
) -> float | None:
    """Show a slider from 0 to 1 over frames at equal times.

    Args:
        at: where it stands.
        exact: the image at `at`, where the frames are rough.

    Returns:
        Where it was just let go; None if it was not, or if the frames are not rough.
    """
    mounted = st.components.v2.component(
        "unclip-scrub",
        html=_HTML,
        css=(HERE / "scrub.css").read_text("utf-8"),
        js=(HERE / "scrub.js").read_text("utf-8"),
    )
    data = {
        "name": name,
        "at": at,
        "images": [image_address(frame, f"{key}{i}") for i, frame in enumerate(frames)],
        "exact": image_address(exact, f"{key}-exact") if exact else "",
    }
    told = mounted(key=key, data=data, on_at_change=lambda: None).at
    return told if isinstance(told, float | int) and 0 <= told <= 1 else None
