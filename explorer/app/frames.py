"""What the pages Text diff and Walk share: how to paint, and the frames of a way as strip, curve
and file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st
from jaxtyping import Float

from explorer.app import outputs, state
from explorer.app.decoding import once
from explorer.app.inputs import Asked
from explorer.app.thumbnails import caption
from explorer.library.sheet import NEIGHBOURS, neighbours
from explorer.metrics import steadiness
from explorer.points import Points
from explorer.query import Query
from explorer.rendering import Made

COLUMNS = 8  # frames of a strip
WIDTH = 72  # pixels of a frame in it
INVERTED, FIXED = "the images' own", "one for all frames"
IMPORTS = """from pathlib import Path

import explorer as ex
from explorer import edits
from explorer.rendering import Made"""


@dataclass(frozen=True)
class Painting:
    """How the frames of a way are painted.

    Args:
        inverted: start from the images' own noise, where all stops are images.
    """

    frames: int
    fps: int
    seed: int
    inverted: bool

    def settings(self) -> dict[str, Any]:
        """What a plan takes."""
        return {"count": self.frames, "fps": self.fps, "seeds": (self.seed,)}

    def words(self) -> list[str]:
        """The same for a command."""
        named = {"--frames": self.frames, "--fps": self.fps, "--seed": self.seed}
        options = [word for name, value in named.items() for word in (name, str(value))]
        return options if self.inverted else [*options, "--fixed-noise"]


def painting(key: str, frames: int, noises: tuple[str, str]) -> Painting:
    """Fields for how to paint; all of them are in the address.

    Args:
        frames: how many at first.
        noises: what INVERTED and FIXED mean on this page.
    """
    noise = st.radio("Noise", [INVERTED, FIXED], captions=noises, key=f"{key}_noise",
                     bind="query-params", help="Words have no noise of their own.")  # fmt: skip
    with st.expander("Frames and seed"):
        count = st.slider("Frames", 4, 48, frames, key=f"{key}_frames", bind="query-params")
        fps = st.slider("Frames a second", 1, 30, 12, key=f"{key}_fps", bind="query-params")
        seed = st.number_input("Seed", 0, 9999, key=f"{key}_seed", bind="query-params")
    return Painting(count, fps, seed, noise == INVERTED)


def example(text: str, values: Mapping[str, object]) -> None:
    """Say what a page waits for, with a button that fills its fields."""
    st.info(text)
    st.button("Show an example", on_click=st.session_state.update, args=(values,))


def in_command(asked: Asked) -> str:
    """What was asked for, as commands read it."""
    return str(Query((replace(asked.term, text=asked.word),)))


def in_python(*lines: str, needed: str = "") -> str:
    """Lines of Python after the imports that all need, one that these need, and their `model`."""
    head = f"{IMPORTS}\n{needed}\n" if needed else f"{IMPORTS}\n"
    return "\n".join([head, f"model = {state.load_line()}", *lines])


def strip(made: Made) -> None:
    """Frames beside each other, and under each its nearest real images."""
    library = state.library()
    chosen = np.unique(np.linspace(0, len(made.frames) - 1, COLUMNS).round().astype(int))
    found = neighbours(library, made.recipe.points[chosen]) if len(library) else []
    with st.container(horizontal=True):
        for i, frame in enumerate(chosen):
            with st.container(width=WIDTH):
                outputs.show(
                    made.frames[frame], f"t = {made.recipe.moments[frame]:.2f}", width=WIDTH
                )
                for row in map(int, found[i].rows if found else ()):
                    outputs.show(state.thumbnail(row), caption(library, row), width=WIDTH)
    if found:
        st.caption(f"Under each frame, the {NEIGHBOURS} real images nearest to its point.")


def seen(made: Made) -> Points | None:
    """What the encoder sees in the frames; None if the person cancelled."""
    asked = f"seen {json.dumps(made.recipe.to_dict())}"
    found = once(asked, lambda: (made.model.encoder.encode_images(made.frames) for _ in (0,)), 1,
                 "Looking at the frames")  # fmt: skip
    return found[0] if found else None


def curve(made: Made, before: Points, after: Points) -> None:
    """How alike what the frames show is to both ends, and how steadily that changes."""
    frames = seen(made)
    if frames is None:
        return
    first, last = frames.unit @ before.unit[0], frames.unit @ after.unit[0]
    _lines(made.recipe.moments, {"with the beginning": first, "with the end": last})
    st.caption(
        "How alike what each frame shows is to both ends. Steadiness "
        f"{steadiness(last - first):+.2f}: the rank correlation of t with what the frames gain "
        "towards the end; at 1.00 every frame is a step forward."
    )


def _lines(t: Float[np.ndarray, " N"], curves: dict[str, Float[np.ndarray, " N"]]) -> None:
    """Curves over t; the axis leaves out what lies far from all of them, 0 too."""
    import altair
    import pandas as pd

    table = pd.DataFrame({"t": t, **curves}).melt("t", var_name="cosine", value_name="value")
    value = altair.Y("value", title="cosine", scale=altair.Scale(zero=False))
    colour = altair.Color("cosine", legend=altair.Legend(orient="bottom", title=None))
    words = f"Cosine of what each frame shows, over t: {' and '.join(curves)}"
    chart = altair.Chart(table, height=240, description=words)
    st.altair_chart(chart.mark_line().encode(x="t", y=value, color=colour))


def export(
    key: str, made: Made, lines: Sequence[str], command: Sequence[str], asked: Sequence[Asked]
) -> None:
    """The way as a file, and the same in Python and as a command.

    Args:
        lines: Python that makes `recipe` from `model`.
        command: words of the command, up to its options of frames.
        asked: from where the way leads.
    """
    library = state.library()
    kind = st.segmented_control("As a file", ["MP4", "GIF", "WebP", "PNG"], default="MP4",
                                required=True, key=f"{key}_as", bind="query-params",
                                help="PNG is the strip above.")  # fmt: skip
    name = f"{key}.{kind.lower()}"
    python = in_python(
        *lines,
        "frames = list(recipe.frames(model.decoder))",
        f"library = ex.Library.open({str(library.folder)!r})",
        f"Made(recipe, model, frames).write(Path({name!r}), library)",
    )
    outputs.offer(
        name,
        lambda file: made.write(file, library),
        python=python,
        command=[*command, *state.options(), "--library", str(library.folder), "-o", name],
        note=" ".join(dict.fromkeys(each.note for each in asked if each.note)),
    )
