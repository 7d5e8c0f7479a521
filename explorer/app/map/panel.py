"""What the page Map shows beside the map: a place, a lasso, a path, or a region."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from jaxtyping import Float

from explorer import mean
from explorer.app import copying, outputs, retrieved, state
from explorer.app.map.layout import (
    distances_to_points,
    layout,
    regions,
    support,
)
from explorer.app.map.selection import along
from explorer.app.server.decoding import decoded
from explorer.app.support_words import MIN_SUPPORT_IMAGES, say_support
from explorer.edits import decode, interpolate
from explorer.library import Hits
from explorer.points import Points

NEIGHBOURS = 6
KEYFRAMES = 8  # places of a drawn path that are decoded as they are
FRAMES = 32
FPS = 12
LARGE, SMALL = 320, 110  # pixels
PLACES = ("places = ex.Projection.cached(library.cache_folder, library.points())",)
Place = tuple[float, float]

SUPPORT = (
    "The share of real images that lie farther from their neighbours than this point does. Near "
    "0 %, no real image is like it. Near 100 %, it is more typical than any image: a mean of its "
    "neighbours on the map."
)
MAP_DISTANCE = (
    "Distance to the nearest image on the map; 1 is the median distance of an image to its "
    "nearest. Far out, a place stands for a mix of images that have little to do with it."
)


def show_place(place: Place, row: int | None) -> None:
    """Show a place decoded, how far from anything real it is, and its real neighbours."""
    library = state.library()
    point = layout().inverse(np.array([place])) if row is None else library.points([row])
    words = "This place" if row is None else state.caption(row)
    st.subheader(outputs.escaped(words))
    slot = st.container()
    _show_support(point, np.array(place))
    st.markdown("**Nearest real images**")
    outputs.found(library.search(point, NEIGHBOURS), width=SMALL)
    with slot:
        if row is None:
            _decode(point, PLACES, f"places.inverse([{list(place)}])", "place.png")
        else:
            _decode(point, (), f"library.points([{row}])", "place.png", row)


def show_path(line: tuple[Place, ...]) -> None:
    """Show the drawn path as a video, through places at equal distances."""
    keyframes = along(line, KEYFRAMES).round(4)
    st.subheader("Along the path")
    points = layout().inverse(keyframes)
    if not retrieved.decodes():
        retrieved.along(points, "path", f"places.inverse({keyframes.tolist()})", PLACES)
        return
    rendering = decoded(interpolate(state.model(), points, frames=FRAMES, fps=FPS))
    if rendering is None:
        return
    st.video(outputs.content_of("path.mp4", rendering.save), loop=True, autoplay=True, muted=True)
    say_support(rendering.points, rendering.times)
    shown = [rendering[i] for i in range(0, FRAMES, FRAMES // KEYFRAMES)]
    outputs.tiles(shown, [f"{i + 1}" for i in range(len(shown))], width=SMALL)
    points_text = copying.Code(f"places.inverse({keyframes.tolist()})")
    edit = copying.call("interpolate", points_text, frames=FRAMES, fps=FPS)
    python = copying.python(copying.library_line(), *PLACES, f'{edit}.save("path.mp4")')
    outputs.offer_replay("path.mp4", rendering, python)


def show_found(hits: Hits) -> None:
    """Show what the words found; the numbers on the map are in this order."""
    st.subheader("Found")
    outputs.found(hits, width=SMALL, key="found")


def show_region(name: str) -> None:
    """Show one region of the map: its mean decoded, beside its most typical images."""
    rows = next(region.rows for region in regions() if region.words == name)
    st.subheader(outputs.escaped(name))
    library = state.library()
    own = library.points(rows)
    middle = mean(own)
    if retrieved.decodes():
        st.markdown("**Its mean, decoded**")
    slot = st.container()
    st.markdown("**Its most typical images**")
    typical = rows[(own.unit @ middle.unit[0]).argsort()[::-1][:NEIGHBOURS]]
    images = [state.thumbnail(int(row)) for row in typical]
    outputs.tiles(images, [state.caption(int(row)) for row in typical], width=SMALL)
    with slot:
        _decode(middle, (), f"ex.mean(library.points({rows.tolist()}))", "region.png")


def _show_support(point: Points, place: Float[np.ndarray, " 2"]) -> None:
    """Show how far from anything real this is: in the space, and on the map."""
    if len(state.library()) < MIN_SUPPORT_IMAGES:
        return
    scores = support().score(point).iloc[0]
    far = float(distances_to_points(place[None])[0])
    with st.container(horizontal=True):
        st.metric("Support", f"{scores['nearest percentile']:.0f} %", help=SUPPORT)
        st.metric("Cosine", f"{scores['nearest']:.2f}", help="with the 10th nearest real image")
        st.metric("Map distance", f"{far:.1f}", help=MAP_DISTANCE)


def _decode(
    point: Points, lines: Sequence[str], python: str, name: str, row: int | None = None
) -> None:
    """Show the point decoded, beside the image itself if it is one of the library.

    Args:
        lines, python: what gives the point from `library`.
        name: of the file to take away.
    """
    if not retrieved.decodes():
        retrieved.say_what_decodes("Real images stand for this point")
        return
    rendering = decoded(decode(state.model(), point))
    if rendering is None:
        return
    with st.container(horizontal=True):
        if row is not None:
            outputs.show(state.thumbnail(row), "the image", width=LARGE // 2)
        outputs.show(rendering[0], "decoded", width=LARGE if row is None else LARGE // 2)
    say_support(point)
    edit = copying.call("decode", copying.Code(python))
    text = copying.python(copying.library_line(), *lines, f"{edit}.save({name!r})")
    outputs.offer_replay(name, rendering, text)
