"""Walk: from image to image, or from words to words, along great circles."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from explorer import edits
from explorer.app import state
from explorer.app.decoding import decoded, planned
from explorer.app.frames import (
    Painting,
    curve,
    example,
    export,
    in_command,
    painting,
    seen,
    strip,
)
from explorer.app.inputs import WORDS, Asked, ask
from explorer.app.scrub import scrub
from explorer.points import Points
from explorer.recipe import Recipe
from explorer.rendering import Made

MOST_STOPS = 6
NOISES = (
    "Option A of the paper: they turn into each other as the points do.",
    "Option B: drawn from the seed.",
)
EXAMPLE = {
    "walk_0_kind": WORDS,
    "walk_0": "cat face",
    "walk_1_kind": WORDS,
    "walk_1": "dog face",
}


@dataclass(frozen=True)
class Walk:
    """What was asked for: two stops are one great circle, more are visited one after the other."""

    stops: Sequence[Asked]
    painting: Painting

    def plan(self) -> tuple[Recipe, tuple[Points, Points]]:
        """The way through the stops, and its two ends."""
        model, how = state.model(), self.painting
        stops = [asked.stop(model, how.seed) for asked in self.stops]
        recipe = edits.plan_walk(model, stops, inverted=how.inverted, **how.settings())
        return recipe, (stops[0].point, stops[-1].point)


def page() -> None:
    """Ask for the stops, then show the way through them."""
    st.title("Walk")
    st.caption(
        "Goes from one image, or words, to the next along great circles, and paints what lies "
        "between."
    )
    left, right = st.columns([1, 2], gap="large")
    with left:
        stops = _stops()
        given = painting("walk", 24, NOISES)
        even = st.toggle("Even pace", key="walk_even", bind="query-params",
                         help="Each frame then changes as much; decodes twice.")  # fmt: skip
    with right:
        if len(stops) > 1:
            _show(Walk(tuple(stops), given), even)
        else:
            example("A walk needs two stops or more.", EXAMPLE)


def _stops() -> list[Asked]:
    """Fields for as many stops as are filled, and one more."""
    stops: list[Asked] = []
    for i in range(MOST_STOPS):
        asked = ask(f"Stop {i + 1}", f"walk_{i}")
        if asked is None:
            break
        stops.append(asked)
    return stops


def _show(walk: Walk, even: bool) -> None:
    plan = planned(walk.plan, "walk", walk)
    if plan is None:
        return
    slot = st.container()
    made = _painted(plan[0])
    if made and even:
        frames = seen(made)
        made = _painted(edits.evened(plan[0], frames)) if frames else None
    if made is None:
        return
    with slot:
        scrub(made.frames, made.recipe.title, key="walk_scrub")
    strip(made)
    curve(made, *plan[1])
    _export(walk, made, even)


def _painted(recipe: Recipe) -> Made | None:
    frames = decoded(recipe)
    return None if frames is None else Made(recipe, state.model(), frames)


def _export(walk: Walk, made: Made, even: bool) -> None:
    stops, how = [in_command(stop) for stop in walk.stops], walk.painting
    settings = ", ".join(f"{name}={value!r}" for name, value in how.settings().items())
    lines = [
        f"stops = [edits.Stop.read(model, text, seed={how.seed}) for text in {stops!r}]",
        f"recipe = edits.plan_walk(model, stops, inverted={how.inverted}, {settings})",
    ]
    if even:
        lines += [
            "draft = list(recipe.frames(model.decoder))",
            "recipe = edits.evened(recipe, model.encoder.encode_images(draft))",
        ]
    command = ["unclip", "walk", *stops, *["--even"] * even, *how.words()]
    export("walk", made, lines, command, walk.stops)
