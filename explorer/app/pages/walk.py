"""Walk: from image to image, or from words to words, along great circles."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from explorer import edits
from explorer.app import copying, examples, retrieved, state
from explorer.app.inputs import Input, ask
from explorer.app.pages.frames import (
    Timing,
    command_options,
    curve,
    example,
    offer,
    path_fields,
    retrieval_fields,
    strip,
)
from explorer.app.previews import roughly
from explorer.app.server.decoding import decoded, is_decoded, key_of, planned
from explorer.app.widgets.scrub import scrub
from explorer.rendering import Rendering
from explorer.retrieval import Retrieval
from explorer.settings import Settings

MAX_KEYFRAMES = 6
PREVIEW_FRAMES = 9  # that are decoded roughly beforehand
NOISES = (
    "Interpolated as the points are: the ends are the images themselves.",
    "Drawn from the seed.",
)


@dataclass(frozen=True)
class Walk:
    """What was asked for: two keyframes are one great circle, more are visited in order."""

    keyframes: Sequence[Input]
    timing: Timing
    settings: Settings

    @property
    def title(self) -> str:
        """The keyframes as the page calls them."""
        return " → ".join(each.label for each in self.keyframes)

    def edit(self) -> Rendering:
        """Return the path through the keyframes, at its own pace."""
        return edits.interpolate(
            state.model(),
            [each.query for each in self.keyframes],
            frames=self.timing.frames,
            fps=self.timing.fps,
            settings=self.settings,
        )


def page() -> None:
    """Ask for the keyframes, then show the path through them."""
    st.title("Walk")
    does = "decodes what lies" if retrieved.decodes() else "shows the real images"
    st.caption(
        f"Goes from one image, or words, to the next along great circles, and {does} between."
    )
    left, right = st.columns([1, 2], gap="large")
    with left:
        keyframes = _keyframes()
        decodes = retrieved.decodes()
        timing, settings = path_fields("walk", 24, NOISES) if decodes else retrieval_fields("walk")
        even = decodes and st.toggle("Even pace", key="walk_even", bind="query-params",
                         help="Re-time frames to constant visual speed (decodes twice)."
                         )  # fmt: skip
    with right:
        walk = Walk(tuple(keyframes), timing, settings)
        if len(keyframes) > 1 and not decodes:
            _retrieve(walk)
        elif len(keyframes) > 1:
            _show(walk, even)
        else:
            example("A walk needs two keyframes or more.", examples.walk)


def _keyframes() -> list[Input]:
    """Show fields for as many keyframes as are filled, and one more."""
    keyframes: list[Input] = []
    for i in range(MAX_KEYFRAMES):
        given = ask(f"Keyframe {i + 1}", f"walk_{i}")
        if given is None:
            break
        keyframes.append(given)
    return keyframes


def _retrieve(walk: Walk) -> None:
    """Show the real images along the walk."""
    timing = walk.timing
    images = retrieved.found(
        lambda: Retrieval.interpolate(
            state.library(), [each.query for each in walk.keyframes], count=timing.frames,
            fps=timing.fps, encoder=state.model().encoder,
        ),
        walk,
    )  # fmt: skip
    if images is None:
        return
    texts = [each.text for each in walk.keyframes]
    python = copying.retrieve("interpolate", texts, count=timing.frames, fps=timing.fps)
    command = ["unclip", "walk", *texts, *timing.options()]
    retrieved.show(images, "walk", python, command, walk.keyframes)


def _show(walk: Walk, even: bool) -> None:
    edit = planned(walk.edit, "walk", walk)
    if edit is None:
        return
    slot = st.empty()
    if not is_decoded(edit):
        previews = decoded(roughly(edit, PREVIEW_FRAMES), "Decoding previews")
        if previews is None:
            return
        with slot:
            scrub(previews, walk.title, key="walk_rough")
    rendering = decoded(edit)
    if rendering and even:
        rendering = _evened(rendering)
    if rendering is None:
        return
    with slot:
        scrub(rendering, walk.title, key="walk_scrub")
    strip(rendering)
    curve(rendering)
    _offer(walk, rendering, even)


def _evened(draft: Rendering) -> Rendering | None:
    edit = planned(lambda: edits.evened(draft), "even", key_of(draft))
    return None if edit is None else decoded(edit)


def _offer(walk: Walk, rendering: Rendering, even: bool) -> None:
    texts, timing, settings = [each.text for each in walk.keyframes], walk.timing, walk.settings
    edit = copying.call("interpolate", texts, frames=timing.frames, fps=timing.fps, even=even,
                        settings=settings)  # fmt: skip
    command = ["unclip", "walk", *texts, *["--even"] * even, *command_options(timing, settings)]
    offer("walk", rendering, edit, command, walk.keyframes)
