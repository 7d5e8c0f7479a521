"""What the pages Text diff and Walk share: fields for the frames of a path, its strip and curve,
and the files to take away.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from jaxtyping import Float

from explorer.app import copying, outputs, retrieved, state
from explorer.app.inputs import Input, fill
from explorer.app.server.decoding import embedded
from explorer.app.support_words import say_support
from explorer.metrics import steadiness
from explorer.rendering import NEIGHBOURS, STRIP_COLUMNS, Rendering
from explorer.settings import Settings

STRIP_WIDTH = 72  # pixels of a frame
INVERTED, FIXED = "the images' own", "one for all frames"


@dataclass(frozen=True)
class Timing:
    """How many frames a path has, and how many of them a second shows."""

    frames: int
    fps: int

    def options(self) -> list[str]:
        """Return the same as words of a command."""
        return ["--frames", str(self.frames), "--fps", str(self.fps)]


def path_fields(key: str, frames: int, noises: tuple[str, str]) -> tuple[Timing, Settings]:
    """Show fields for timing and settings; all of them are in the address.

    Args:
        frames: their number at first.
        noises: what INVERTED and FIXED mean on this page.
    """
    noise = st.radio("Noise", [INVERTED, FIXED], captions=noises, key=f"{key}_noise",
                     bind="query-params", help="Words have no noise of their own.")  # fmt: skip
    with st.expander("Frames and seed"):
        count = st.slider("Frames", 4, 48, frames, key=f"{key}_frames", bind="query-params")
        fps = st.slider("Frames per second", 1, 30, 12, key=f"{key}_fps", bind="query-params")
        seed = st.number_input("Seed", 0, 9999, key=f"{key}_seed", bind="query-params")
    choice = Settings(seed=seed, noise="seed" if noise == FIXED else None)
    return Timing(count, fps), choice


def retrieval_fields(key: str) -> tuple[Timing, Settings]:
    """Show the fields of a path of real images, which has no noise and no seed."""
    return Timing(*retrieved.fields(key)), Settings()


def command_options(timing: Timing, settings: Settings) -> list[str]:
    """Return the same as words of a command."""
    options = [*timing.options(), "--seed", str(settings.seed)]
    return [*options, "--noise-from", "seed"] if settings.noise == "seed" else options


def example(text: str, values: Callable[[], Mapping[str, object]]) -> None:
    """Say what a page waits for, with a button that fills its fields by what fits the library."""
    st.info(text)
    if len(state.library()) > 1:
        st.button("Show an example", on_click=lambda: fill(values()))


def strip(rendering: Rendering) -> None:
    """Show frames beside each other, and under each its nearest real images."""
    library = state.library()
    chosen = np.unique(np.linspace(0, len(rendering) - 1, STRIP_COLUMNS).round().astype(int))
    found = library.search_many(rendering.points[chosen], NEIGHBOURS) if len(library) else []
    with st.container(horizontal=True, key=f"{outputs.SQUARE}-strip"):
        for i, frame in enumerate(map(int, chosen)):
            with st.container(width=STRIP_WIDTH):
                text = f"t = {rendering.times[frame]:.2f}"
                outputs.show(rendering[frame], text, width=STRIP_WIDTH)
                for row in map(int, found[i].rows if found else ()):
                    outputs.show(state.thumbnail(row), state.caption(row), width=STRIP_WIDTH)
    say_support(rendering.points, rendering.times)
    if found:
        st.caption(f"Under each frame, the {NEIGHBOURS} real images nearest to its point.")


def curve(rendering: Rendering) -> None:
    """Show how similar what the frames show is to both ends, and how steadily that changes."""
    seen, ends = embedded(rendering), rendering.recipe.ends
    if seen is None or ends is None:
        return
    first, last = (seen.unit @ ends.unit.T).T
    _lines(rendering.times, {"with the start": first, "with the end": last})
    st.caption(
        "Similarity of what each frame shows to both ends. Steadiness "
        f"{steadiness(last - first):+.2f}: the rank correlation of t with what the frames gain "
        "towards the end; at 1.00 every frame is a step forward."
    )


def _lines(t: Float[np.ndarray, " N"], curves: dict[str, Float[np.ndarray, " N"]]) -> None:
    """Draw curves over t; the axis leaves out what lies far from all of them, 0 too."""
    import altair
    import pandas as pd

    table = pd.DataFrame({"t": t, **curves}).melt("t", var_name="cosine", value_name="value")
    value = altair.Y("value", title="cosine", scale=altair.Scale(zero=False))
    colour = altair.Color("cosine", legend=altair.Legend(orient="bottom", title=None))
    words = f"Cosine of what each frame shows, over t: {' and '.join(curves)}"
    chart = altair.Chart(table, height=240, description=words)
    st.altair_chart(chart.mark_line().encode(x="t", y=value, color=colour))


def offer(
    key: str,
    rendering: Rendering,
    edit: str,
    command: Sequence[str],
    inputs: Sequence[Input],
    note: str = "",
) -> None:
    """Offer the path as a file, and the same as Python and as a command.

    Args:
        edit: Python that makes the rendering from `model`.
        command: words of the command, without the model and the file.
        inputs: what the path starts from and leads through.
        note: what else has to be done before the command works.
    """
    kind = st.segmented_control("File format", ["MP4", "GIF", "WebP", "PNG"], default="MP4",
                                required=True, key=f"{key}_as", bind="query-params",
                                help="PNG is the strip above.")  # fmt: skip
    name = f"{key}.{kind.lower()}"
    library = state.library() if kind == "PNG" else None  # its images stand under the strip
    shown = ["--library", str(library.folder)] if library else []
    outputs.offer(
        name,
        lambda file: rendering.save(file, library),
        python=copying.python(f"edit = {edit}", copying.save(name, library=bool(shown))),
        command=[
            *command,
            *state.options(),
            *([] if "--library" in command else shown),
            "-o",
            name,
        ],
        note=" ".join(dict.fromkeys(filter(None, [*(each.note for each in inputs), note]))),
    )
