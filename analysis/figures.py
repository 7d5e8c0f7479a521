"""Figures: strips of images, matrices, lines, bars and histograms, in one plain style.

Readable in print and with any colour vision: Okabe and Ito's colours, dark on white. No pyplot, so
that nothing global is touched: every function gives a `matplotlib.figure.Figure`.
"""

import io
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    import pandas as pd

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
WIDTH = 8.0  # inches
DPI = 144
_GREY = "#767676"
_MOST_NUMBERS = 16  # columns of a matrix whose cells have room for a number


def as_png(figure: Figure) -> bytes:
    """Draw a figure as the content of a PNG file."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a caption may be in any script
        figure.savefig(
            content, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None}
        )
    return content.getvalue()


def strip(
    images: Sequence[Image.Image],
    labels: Sequence[str] = (),
    *,
    columns: int = 8,
    names: Sequence[str] = (),
) -> Figure:
    """Lay images out in rows of `columns`.

    Args:
        labels: under each image.
        names: left of each row.

    >>> tiles = [Image.new("RGB", (8, 8), "navy")] * 6
    >>> figure = strip(tiles, labels="abcdef", columns=3, names=["before", "after"])
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    tall, margin = (1.42 if labels else 1.06), (1.2 if names else 0.0)  # in widths of a tile
    side = min(1.2, WIDTH / (columns + margin))
    figure = Figure((side * (columns + margin), side * rows * tall))
    axes = _bare(figure, (-margin, columns), (-rows * tall, 0))
    points = side * 72  # of a tile's width, for letters that fit
    for i, image in enumerate(images):
        x, y = i % columns, -(i // columns) * tall
        axes.imshow(image, extent=(x + 0.03, x + 0.97, y - 0.97, y - 0.03), aspect="auto")
        if labels:
            text = _wrap(labels[i], 16, lines=2)
            axes.text(x + 0.5, y - 1, text, size=points / 10, ha="center", va="top")
    for row, name in enumerate(names):
        text = _wrap(name, 14, lines=4)
        axes.text(-0.08, -row * tall - 0.5, text, size=points / 8, ha="right", va="center")
    axes.set(xlim=(-margin, columns), ylim=(-rows * tall, 0))
    return figure


def matrix(
    values: Float[np.ndarray, "N M"],
    rows: Sequence[str],
    columns: Sequence[str] | Sequence[Image.Image],
    *,
    unit: str,
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Show numbers as shades, the higher the darker, and as digits where there is room.

    Args:
        columns: words, or images that stand above the columns.
        unit: what the shades mean, such as "cosine".
    """
    n, m = values.shape
    cell = min(0.6, (WIDTH - 3) / m)
    figure = Figure((3 + cell * m, 1.6 + cell * n), layout="constrained")
    axes = figure.subplots()
    shades = axes.imshow(values, cmap="Blues")
    figure.colorbar(shades, ax=axes, label=unit, shrink=0.8)
    if m <= _MOST_NUMBERS:
        low, high = np.nanmin(values), np.nanmax(values)
        for i, j in np.ndindex(n, m):
            colour = "white" if values[i, j] > low + 0.6 * (high - low) else "black"
            text = f"{values[i, j]:z.2f}" if values.dtype.kind == "f" else str(values[i, j])
            axes.text(j, i, text, color=colour, size=cell * 15, ha="center", va="center")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_yticks(range(n), [_wrap(row, 28, lines=1) for row in rows], size=8)
    words = [column for column in columns if isinstance(column, str)]
    axes.set_xticks(range(len(words)), [_wrap(word, 28, lines=1) for word in words], size=8)
    axes.tick_params(axis="x", rotation=60, rotation_mode="xtick")
    for j, image in enumerate(columns):
        if isinstance(image, Image.Image):
            axes.imshow(image, extent=(j - 0.45, j + 0.45, -0.6, -1.5))
    axes.set(xlim=(-0.5, m - 0.5), ylim=(n - 0.5, -0.5 if words else -1.55))
    axes.spines[:].set_visible(False)
    return figure


def lines(
    table: "pd.DataFrame",
    x: str,
    y: str,
    *,
    by: str | None = None,
    band: tuple[str, str] | None = None,
    level: tuple[float, str] | None = None,
) -> Figure:
    """Draw column y over column x; the names of the columns are the labels of the axes.

    Args:
        by: the column that says which line a row belongs to.
        band: the columns of the lower and upper end of an interval.
        level: a value of y to compare with, and what it is, such as (0.1, "chance").
    """
    figure, axes = _plain(0.5)
    groups: Any = [("", table)] if by is None else table.groupby(by, sort=False)
    for i, (name, rows) in enumerate(groups):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        marked = marker if len(rows) <= 40 else ""
        axes.plot(rows[x], rows[y], marker=marked, color=colour, label=_wrap(str(name), 40))
        if band is not None:
            axes.fill_between(rows[x], rows[band[0]], rows[band[1]], color=colour, alpha=0.15)
    _level(axes.axhline, level)
    axes.set(xlabel=x, ylabel=y)
    if by is not None or level is not None:
        axes.legend(frameon=False, fontsize=9)
    return figure


def bars(
    table: "pd.DataFrame",
    name: str,
    value: str,
    *,
    interval: tuple[str, str] | None = None,
    level: tuple[float, str] | None = None,
) -> Figure:
    """Draw one dot a row at its value, with its interval as a whisker; the first row on top.

    Args:
        interval: the columns of the lower and upper end.
        level: a value to compare with, and what it is, such as (0.5, "chance").
    """
    figure, axes = _plain(0.1 + 0.04 * len(table))
    places, values = np.arange(len(table)), table[value].to_numpy(dtype=float)
    if interval is not None:
        axes.hlines(places, table[interval[0]], table[interval[1]], color=COLOURS[0], lw=2)
    axes.plot(values, places, "o", color=COLOURS[0])
    _level(axes.axvline, level)
    axes.set_yticks(places, [_wrap(str(text), 40, lines=1) for text in table[name]])
    axes.set(xlabel=value, ylim=(len(table) - 0.5, -0.5))
    axes.grid(axis="x", color="#dddddd")
    if level is not None:
        axes.legend(frameon=False, fontsize=9)
    return figure


def histogram(
    samples: Mapping[str, Float[np.ndarray, " N"]], xlabel: str, *, bins: int = 60
) -> Figure:
    """Draw how often values occur, one outline a sample, each of area 1 over common bins."""
    figure, axes = _plain(0.45)
    everything = np.concatenate(list(samples.values()))
    edges = np.histogram_bin_edges(everything, bins=bins)
    for i, (name, values) in enumerate(samples.items()):
        share = np.histogram(values, edges)[0] / max(len(values), 1) / np.diff(edges)
        colour, dashes = COLOURS[i % len(COLOURS)], ("-", "--", ":", "-.")[i % 4]
        axes.stairs(share, edges, color=colour, ls=dashes, lw=1.8, label=_wrap(name, 40))
    axes.set(xlabel=xlabel, ylabel="density", ylim=(0, None))
    if len(samples) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure


def _plain(tall: float) -> tuple[Figure, Axes]:
    """An empty drawing, `tall` times as high as wide, with two spines."""
    figure = Figure((WIDTH * 0.85, max(1.2, WIDTH * 0.85 * tall)), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _bare(figure: Figure, x: tuple[float, float], y: tuple[float, float]) -> Axes:
    axes = figure.add_axes((0, 0, 1, 1), xlim=x, ylim=y)
    axes.set_axis_off()
    return axes


def _level(draw: Any, level: tuple[float, str] | None) -> None:
    if level is not None:
        draw(level[0], color=_GREY, ls="--", lw=1.2, label=_wrap(level[1], 40))


def _wrap(text: str, width: int, lines: int = 2) -> str:
    """A label on few short lines; "$" would start a formula."""
    wrapped = textwrap.wrap(text, width, max_lines=lines, placeholder="…")
    return "\n".join(wrapped).replace("$", r"\$")
