"""Text diff: an image changed by words, as far as a slider says."""

from dataclasses import dataclass, replace

import streamlit as st
from PIL import Image

from explorer import edits
from explorer.app import outputs, state
from explorer.app.decoding import decoded, planned
from explorer.app.frames import (
    Painting,
    curve,
    example,
    export,
    in_command,
    in_python,
    painting,
    strip,
)
from explorer.app.inputs import WORDS, Asked, ask
from explorer.app.scrub import scrub
from explorer.points import Points
from explorer.recipe import Recipe
from explorer.rendering import Made

PREVIEWS = 17  # places of the slider that are decoded roughly beforehand
PREVIEW_STEPS = 4
TURN = 0.5  # of the way to the new words, at first
NOISES = ("The way begins at the image itself.", "Drawn from the seed.")
EXAMPLE = {
    "diff_kind": WORDS,
    "diff": "cat face",
    "diff_from": "cat face",
    "diff_to": "dog face",
}


@dataclass(frozen=True)
class Change:
    """What was asked for: from where, and by which words; no `before` leaves it out."""

    start: Asked
    before: str | None
    after: str
    painting: Painting

    def plan(self) -> tuple[Recipe, tuple[Points, Points]]:
        """The whole way, and the ends that its frames are compared with."""
        model, how = state.model(), self.painting
        start, settings = self.start.stop(model, how.seed), how.settings() | {"fraction": 1.0}
        return edits.plan_diff(
            model, start, self.before, self.after, inverted=how.inverted, **settings
        )


def page() -> None:
    """Ask what shall become what, then show the way there."""
    st.title("Text diff")
    st.caption("Changes an image by words, as far as you turn it from one caption to another.")
    left, right = st.columns([1, 2], gap="large")
    with left:
        start = ask("Start from", "diff")
        before = st.text_input("What it is now", key="diff_from", bind="query-params",
                               help="Left out, it turns to the new words alone.")  # fmt: skip
        after = st.text_input("What it shall become", key="diff_to", bind="query-params")
        given = painting("diff", 12, NOISES)
    with right:
        if start and after.strip():
            _show(Change(start, before.strip() or None, after.strip(), given))
        else:
            example("Say where to start, and what it shall become.", EXAMPLE)


def _show(change: Change) -> None:
    whole = planned(change.plan, "diff", change)
    if whole is None:
        return
    turn = _turn()
    way = replace(whole[0], radians=turn * whole[0].radians)
    here = replace(way, way="points", stops=way.points[-1:], count=1)
    exact = _slide(whole[0], here, turn)
    if exact is None:
        return
    lines = _in_python(change, turn)
    _offer_one(Made(here, state.model(), exact), lines, change.start.note)
    frames = decoded(way)
    if frames is None:
        return
    made = Made(way, state.model(), frames)
    strip(made)
    curve(made, *whole[1])
    before = ["--from", change.before] if change.before else []
    words = [in_command(change.start), *before, "--to", change.after, "--fraction", str(turn)]
    command = ["unclip", "diff", *words, *change.painting.words()]
    export("diff", made, lines, command, [change.start])


def _slide(whole: Recipe, here: Recipe, turn: float) -> list[Image.Image] | None:
    """The slider with what lies at each place of it; the one image at its own place.

    None if the person cancelled.
    """
    slot = st.container()
    rough = replace(
        whole,
        count=PREVIEWS,
        steps=min(PREVIEW_STEPS, whole.steps),
        solver=edits.decoder_of(state.model()).preview_solver if whole.noise is None else "ddim",
    )
    previews = decoded(rough, "Looking ahead")
    exact = decoded(here) if previews else None
    if previews is None or exact is None:
        return None
    with slot:
        told = scrub(previews, "How far to turn", key="diff_scrub", at=turn, exact=exact[0])
    if told is not None:
        st.query_params["diff_turn"] = f"{told:.2f}"
        st.rerun()
    return exact


def _turn() -> float:
    """How far the address says to turn, as a part of the whole angle."""
    try:
        turn = float(st.query_params.get("diff_turn", TURN))
    except ValueError:
        return TURN
    return turn if 0 <= turn <= 1 else TURN


def _in_python(change: Change, turn: float) -> list[str]:
    """Lines that make `recipe`, the way as far as it is turned."""
    how = change.painting
    settings = ", ".join(f"{name}={value!r}" for name, value in how.settings().items())
    return [
        f"start = edits.Stop.read(model, {in_command(change.start)!r}, seed={how.seed})",
        "recipe, ends = edits.plan_diff(",
        f"    model, start, {change.before!r}, {change.after!r}, fraction={turn},",
        f"    inverted={how.inverted}, {settings},",
        ")",
    ]


def _offer_one(made: Made, lines: list[str], note: str) -> None:
    name = "changed.png"
    python = in_python(
        *lines,
        'recipe = replace(recipe, way="points", stops=recipe.points[-1:], count=1)',
        "frames = list(recipe.frames(model.decoder))",
        f"Made(recipe, model, frames).write(Path({name!r}))",
        needed="from dataclasses import replace",
    )
    outputs.offer(
        name,
        made.write,
        python=python,
        command=["unclip", "replay", name, "-o", f"again-{name}"],
        note=f"The command makes {name} again from its recipe: download it first. {note}",
    )
