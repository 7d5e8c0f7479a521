"""The map of a library as one image: coloured points, and the images that live there.

It takes places and a way to open images, and returns the bytes of a PNG.
"""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from explorer.errors import ImageError
from explorer.notes import counted
from explorer.projection.colours import Colours, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DPI = (14.0, 9.6), 160
THUMBNAIL = 0.034  # of the map's width
SHARE = 0.3  # of the map's area that thumbnails may cover
PALETTE = (  # of the component in the browser, scatter/source/colours.js
    *("#4269d0", "#ef7d22", "#3ca951", "#e0457b", "#6cc5b0", "#a463f2", "#9c6b4e", "#d9a514"),
    *("#38b2e8", "#b05279", "#7a8b2e", "#7c83db", "#d1605e", "#2e8b88", "#c08552", "#8f5fa8"),
    *("#5b9e3a", "#d47fb0", "#4f7d9c", "#b0863a"),
)
OTHER = "#8d9299"
FAR_SHARE, FAR_GAP, GAIN = 0.02, 0.15, 1.15  # as the component's, scatter/source/view.js


def draw_map(
    xy: Float[np.ndarray, "N 2"],
    open_image: Callable[[int], Image.Image],
    title: str,
    colours: Colours | None = None,
) -> bytes:
    """Draw the points, a sprinkling of their images, and what the colours mean.

    Args:
        open_image: gives the image of a row; ImageError leaves that image out.
        colours: one a point; None colours by how crowded the place is.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DPI, facecolor="#fbfbf9")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.01, 0.79, 0.93))
    axes.set_axis_off()
    figure.text(0.015, 0.955, _plain(title), fontsize=18, color="#1d1d1f")
    near = crowd(xy)
    if _width(axes, xy) < GAIN * _width(axes, xy[near]):
        near[:] = True
    extent = _frame(axes, xy[near])
    if far := int((~near).sum()):
        told = f"{counted(far)} far from the rest, outside of this view"
        figure.text(0.985, 0.02, told, fontsize=10.5, color="#5a5a60", ha="right")
    drawn = _colour_points(axes, xy, colours or shades("images nearby", _crowding(xy)))
    rows = np.flatnonzero(near)
    edges = [drawn[row] for row in rows]
    _place_images(axes, xy[near], lambda i: open_image(int(rows[i])), extent, edges)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def crowd(xy: Float[np.ndarray, "N 2"]) -> Bool[np.ndarray, " N"]:
    """Return which points are left without the few that lie beyond an empty gap, on either axis."""
    few, inside = int(FAR_SHARE * len(xy)), np.ones(len(xy), bool)
    for values in xy.T:
        at = np.sort(values)
        gap = FAR_GAP * (at[-1 - few] - at[few])
        below, above = np.diff(at[: few + 1]) > gap, np.diff(at[len(at) - 1 - few :]) > gap
        low = at[1 + np.flatnonzero(below)[-1]] if below.any() else at[0]
        high = at[len(at) - 1 - few + np.flatnonzero(above)[0]] if above.any() else at[-1]
        inside &= (values >= low) & (values <= high)
    return inside


def _width(axes: "Axes", xy: Float[np.ndarray, "N 2"]) -> float:
    """Return the width in which all points are seen, with equal units on both axes."""
    shape, extent = axes.get_window_extent(), np.ptp(xy, axis=0).astype(float)
    return float(max(*(extent * (1, shape.width / shape.height)), 1e-6)) * 1.1


def _frame(axes: "Axes", xy: Float[np.ndarray, "N 2"]) -> float:
    """Set limits that show all points, with equal units on both axes; return the width shown."""
    shape, wide = axes.get_window_extent(), _width(axes, xy)
    middle = (xy.min(axis=0).astype(float) + xy.max(axis=0)) / 2
    axes.set_xlim(middle[0] - wide / 2, middle[0] + wide / 2)
    tall = wide * shape.height / shape.width
    axes.set_ylim(middle[1] - tall / 2, middle[1] + tall / 2)
    axes.autoscale(enable=False)
    return wide


def _plain(text: str, longest: int = 60) -> str:
    """Text that matplotlib does not take for a formula, on one short line."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    return (text if len(text) <= longest else text[: longest - 1] + "…").replace("$", r"\$")


def _colour_points(axes: "Axes", xy: Float[np.ndarray, "N 2"], colours: Colours) -> list[Any]:
    """Draw the points and the legend; return one colour a point."""
    from matplotlib.colors import ListedColormap

    size = float(np.clip(60_000 / len(xy), 3, 80))
    style: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.75}
    if colours.names is not None:
        return _colour_groups(axes, xy, colours, colours.names, style)
    ramp, (low, high) = ListedColormap(_told_from_white()).with_extremes(bad=OTHER), colours.scale
    style |= {"c": colours.codes, "cmap": ramp, "vmin": low, "vmax": high, "plotnonfinite": True}
    drawn = axes.scatter(xy[:, 0], xy[:, 1], **style)
    bar = axes.figure.colorbar(drawn, cax=axes.figure.add_axes((0.84, 0.6, 0.015, 0.3)))
    bar.set_ticks([low, high] if high > low else [], labels=colours.ends if high > low else [])
    bar.set_label(_plain(colours.title), fontsize=11)
    bar.outline.set_visible(False)
    return list(drawn.to_rgba(colours.codes, alpha=1.0))


def _told_from_white() -> Float[np.ndarray, "256 4"]:
    """Return the colours of numbers: viridis without its end, as the component in the browser."""
    from matplotlib import colormaps

    found: np.ndarray = colormaps["viridis"](np.linspace(0, 4.7 / 8, 256))
    return found


def _colour_groups(
    axes: "Axes",
    xy: Float[np.ndarray, "N 2"],
    colours: Colours,
    names: tuple[str | None, ...],
    style: dict[str, Any],
) -> list[Any]:
    known = [OTHER if name is None else PALETTE[i % len(PALETTE)] for i, name in enumerate(names)]
    drawn = [known[code] for code in colours.codes]
    order = np.random.default_rng(0).permutation(len(xy))  # or the last group would hide the first
    axes.scatter(xy[order, 0], xy[order, 1], c=[drawn[i] for i in order], **style)
    for name, colour, count in zip(names, known, np.bincount(colours.codes), strict=True):
        said = _plain("others" if name is None else name, 22)
        axes.scatter([], [], c=colour, s=70, label=f"{said}  ({count:,})")
    axes.legend(
        title=_plain(colours.title, 26),
        title_fontproperties={"size": 12, "weight": "bold"},
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0,
        frameon=False,
        fontsize=10.5,
        alignment="left",
    )
    return drawn


def _crowding(xy: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, " N"]:
    """How many points lie within a fiftieth of the map."""
    from scipy.spatial import KDTree

    radius = (float(np.ptp(xy, axis=0).max()) or 1.0) / 50
    return np.asarray(KDTree(xy).query_ball_point(xy, radius, return_length=True), np.float64)


def _place_images(
    axes: "Axes",
    xy: Float[np.ndarray, "N 2"],
    open_image: Callable[[int], Image.Image],
    extent: float,
    colours: list[Any],
) -> None:
    from matplotlib.patches import Rectangle

    side = THUMBNAIL * extent
    for row in _representatives(xy, side * 1.5, int(SHARE / THUMBNAIL**2)):
        try:
            image = open_image(row)
        except ImageError:
            continue
        image.thumbnail((96, 96))
        half = np.array(image.size) / max(image.size) * side / 2
        left, lower = xy[row] - half
        box = (left, left + 2 * half[0], lower, lower + 2 * half[1])
        axes.imshow(np.asarray(image), extent=box, zorder=3, aspect="auto", interpolation="lanczos")
        frame = Rectangle((left, lower), *(2 * half), fill=False, ec=colours[row], lw=1.8, zorder=4)
        axes.add_patch(frame)


def _representatives(xy: Float[np.ndarray, "N 2"], apart: float, most: int) -> list[int]:
    """Rows in the most crowded places first, none nearer to another than `apart` on both axes."""
    order: Int[np.ndarray, " N"] = np.argsort(-_crowding(xy), kind="stable")
    chosen: list[int] = []
    places = np.empty((0, 2))
    for row in order:
        if len(chosen) == most:
            break
        if len(places) and (np.abs(places - xy[row]).max(axis=1) < apart).any():
            continue
        chosen.append(int(row))
        places = xy[chosen]
    return chosen
