"""What the page Map shows beside the map: a place, a lasso, a path, or a region."""

import functools

import numpy as np
import streamlit as st
from jaxtyping import Float

from explorer import mean
from explorer.app import outputs, state
from explorer.app.decoding import decoded
from explorer.app.map.layout import distances_to_points, layout, regions, support
from explorer.app.map.selection import along, rows_within, write_chosen
from explorer.app.thumbnails import caption
from explorer.edits import Stop, plan, plan_walk
from explorer.library import Hits
from explorer.points import Points
from explorer.recipe import Recipe
from explorer.rendering import Made

NEIGHBOURS = 6
SHOWN = 24  # images of a lasso
STOPS = 8  # places of a drawn path that are decoded as they are
FRAMES = 32
FPS = 12
LARGE, SMALL = 320, 110  # pixels
FEW = 30  # images tell nothing about what is usual
Place = tuple[float, float]

SUPPORT = (
    "How near real images are: the part of real images that lie farther from their neighbours "
    "than this does. Near 0 %, nothing real is like it. Near 100 %, it is more usual than any "
    "image: a mean of its neighbours on the map."
)
OFF = (
    "How far the nearest image on the map is, in distances that images have to their nearest. "
    "Far out, a place stands for a mix of images that have little to do with it."
)


def show_place(place: Place, row: int | None) -> None:
    """A place decoded, how far from anything real it is, and its real neighbours."""
    library = state.library()
    point = layout().inverse(np.array([place])) if row is None else library.points([row])
    words = "This place" if row is None else caption(library, row)
    st.subheader(outputs.escaped(words))
    slot = st.container()
    _show_support(point, np.array(place))
    st.markdown("**Real images nearest to it**")
    outputs.found(library.search(point, NEIGHBOURS), width=SMALL)
    with slot:
        made = f"places.inverse([[{place[0]:.5g}, {place[1]:.5g}]])"
        _decode(point, made if row is None else f"library.points([{row}])", row)


def show_path(line: tuple[Place, ...]) -> None:
    """The drawn path as a video, with places of it as stops."""
    model, stops = state.model(), along(line, STOPS)
    st.subheader("Along the path")
    points = layout().inverse(stops)
    recipe = plan_walk(
        model, [Stop(point, None) for point in points], inverted=False, count=FRAMES, fps=FPS
    )
    frames = decoded(recipe)
    if frames is None:
        return
    made = Made(recipe, model, frames)
    st.video(outputs.content_of("path.mp4", made.write), loop=True, autoplay=True, muted=True)
    outputs.tiles(frames[:: FRAMES // STOPS], [f"{i + 1}" for i in range(STOPS)], width=SMALL)
    python = [
        f"stops = places.inverse({stops.round(4).tolist()})",
        f"frames = model.decoder.decode(ex.Path.through(stops).sample({FRAMES}))",
        f'ex.write_video(frames, "path.mp4", fps={FPS})',
    ]
    _offer("path.mp4", made, python)


def show_lasso(border: tuple[Place, ...]) -> None:
    """What the lasso encloses: images, a table, and files to take away."""
    library, rows = state.library(), rows_within(border, layout().xy)
    st.subheader(f"{len(rows):,} images in the lasso")
    if not len(rows):
        return
    images, table = st.tabs(["Images", "Table"])
    with images:
        words = [caption(library, int(row)) for row in rows[:SHOWN]]
        outputs.tiles([state.thumbnail(int(row)) for row in rows[:SHOWN]], words, width=SMALL)
        if len(rows) > SHOWN:
            st.caption(f"The first {SHOWN} are shown; the table and the files have all.")
    with table:
        st.dataframe(library.rows.iloc[rows][["item", *library.columns]], hide_index=True)
    with st.container(horizontal=True):
        for name, label in (
            ("chosen.csv", "Table as CSV"),
            ("chosen.parquet", "Table as Parquet"),
            ("chosen.zip", "New library"),
        ):
            write = functools.partial(write_chosen, library, rows)
            content = functools.partial(outputs.content_of, name, write)
            st.download_button(label, content, name, key=name, on_click="ignore")


def show_found(hits: Hits) -> None:
    """What the words found; the numbers on the map are in this order."""
    st.subheader("Found")
    outputs.found(hits, width=SMALL)


def show_region() -> None:
    """One region of the map: its mean decoded, beside its most typical images."""
    known = regions()
    if not known:
        return
    names = [region.words for region in known]
    name = st.selectbox("A region and its middle", ["", *names], key="region", bind="query-params")
    if name not in names:
        return
    rows = known[names.index(name)].rows
    library = state.library()
    own = library.points(rows)
    middle = mean(own)
    st.markdown("**Its mean, decoded**")
    slot = st.container()
    st.markdown("**Its most typical images**")
    typical = rows[(own.unit @ middle.unit[0]).argsort()[::-1][:NEIGHBOURS]]
    images = [state.thumbnail(int(row)) for row in typical]
    outputs.tiles(images, [caption(library, int(row)) for row in typical], width=SMALL)
    with slot:
        _decode(middle, f"ex.mean(library.points({rows.tolist()}))", None)


def _show_support(point: Points, place: Float[np.ndarray, " 2"]) -> None:
    """How far from anything real this is: in the space, and on the map."""
    if len(state.library()) < FEW:
        return
    scores = support().score(point).iloc[0]
    far = float(distances_to_points(place[None])[0])
    with st.container(horizontal=True):
        st.metric("Support", f"{scores['nearest percentile']:.0f} %", help=SUPPORT)
        st.metric("Cosine", f"{scores['nearest']:.2f}", help="with the 10th nearest real image")
        st.metric("Off the map by", f"{far:.1f}", help=OFF)


def _decode(point: Points, python: str, row: int | None) -> None:
    """The point as the decoder paints it, and the image itself if it is one of the library."""
    model = state.model()
    recipe: Recipe = plan(model, point, None, way="points", count=1, title=point.labels[0])
    frames = decoded(recipe)
    if frames is None:
        return
    with st.container(horizontal=True):
        if row is not None:
            outputs.show(state.thumbnail(row), "the image", width=LARGE // 2)
        outputs.show(frames[0], "decoded", width=LARGE if row is None else LARGE // 2)
    lines = [f"image, = model.decoder.decode({python})", 'image.save("place.png")']
    _offer("place.png", Made(recipe, model, frames), lines)


def _offer(name: str, made: Made, lines: list[str]) -> None:
    library = state.library()
    before = [
        "import explorer as ex",
        f"library = ex.Library.open({str(library.folder)!r})",
        f"model = ex.load({library.model!r})",
        "places = ex.Projection.cached(library.cache_folder, library.points())",
    ]
    outputs.offer(
        name,
        made.write,
        python="\n".join([*before, *lines]),
        command=["unclip", "replay", name, "-o", f"again-{name}"],
        note=f"The command makes {name} again from the recipe in it: download it first.",
    )
