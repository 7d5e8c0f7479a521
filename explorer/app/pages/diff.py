"""Text diff: an image changed by words, as far as a slider says."""

from contextlib import suppress
from dataclasses import dataclass, replace

import streamlit as st

from explorer import edits
from explorer.app import copying, examples, outputs, retrieved, state
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
from explorer.app.server.decoding import decoded, planned
from explorer.app.widgets.scrub import scrub
from explorer.edits.swapping import goes_through_prior
from explorer.geometry import slerp
from explorer.points import Points
from explorer.rendering import Rendering
from explorer.retrieval import Retrieval
from explorer.settings import Settings

PREVIEW_FRAMES = 17  # places of the slider that are decoded roughly beforehand
FRACTION = 0.5  # of the angle to the target caption, at first
NOISES = ("The first frame is the image itself.", "Drawn from the seed.")
ROTATE, PRIOR = examples.ROTATE, examples.THROUGH_PRIOR
WAYS = {
    ROTATE: "Turns the point towards the difference of the captions. Far on, it leaves all that "
    "images are like.",
    PRIOR: "Goes to where the prior places images of the target caption, and keeps half of what is "
    "special about this one.",
}


@dataclass(frozen=True)
class Change:
    """What was asked for: from where, and by which words; no `before` leaves it out.

    Args:
        through_prior: as for `edits.text_diff`.
    """

    start: Input
    before: str | None
    after: str
    timing: Timing
    settings: Settings
    through_prior: bool = False

    def edit(self) -> Rendering:
        """Return the whole way, to the target caption."""
        return edits.text_diff(
            state.model(),
            self.start.query,
            before=self.before,
            after=self.after,
            fraction=None if self.through_prior else 1.0,
            through_prior=self.through_prior,
            frames=self.timing.frames,
            fps=self.timing.fps,
            settings=self.settings,
        )

    @property
    def usual_fraction(self) -> float:
        """How far `edits.text_diff` goes if nobody says."""
        return 1.0 if self.through_prior else FRACTION

    @property
    def by_itself(self) -> bool:
        """Whether `edits.text_diff` goes this way if nobody says."""
        return goes_through_prior(state.model(), self.before, None) == self.through_prior

    def partly(self, whole: Rendering, fraction: float) -> Rendering:
        """Return the way as far as `fraction`, as `edits.text_diff` does."""
        recipe = whole.recipe
        if not self.through_prior:
            return Rendering(whole.model, replace(recipe, radians=fraction * recipe.radians))
        start, aim = recipe.keyframes[0], recipe.keyframes[1]
        if fraction != self.usual_fraction:
            aim = slerp(start, aim, fraction)
        return Rendering(whole.model, replace(recipe, keyframes=Points.concat([start, aim])))

    def python(self, fraction: float) -> str:
        """Return the call that does the same as far as `fraction`."""
        return copying.call(
            "text_diff",
            self.start.text,
            before=self.before,
            after=self.after,
            fraction=None if fraction == self.usual_fraction else fraction,
            through_prior=None if self.by_itself else self.through_prior,
            frames=self.timing.frames,
            fps=self.timing.fps,
            settings=self.settings,
        )


def page() -> None:
    """Ask for the start and the captions, then show the change."""
    st.title("Text diff")
    st.caption("Changes an image by words: from one caption towards another.")
    left, right = st.columns([1, 2], gap="large")
    with left:
        start = ask("Start from", "diff")
        typed = st.text_input("Current caption", key="diff_from", bind="query-params",
                               help="Without one, it rotates to the target alone.")  # fmt: skip
        before = typed.strip() or None
        after = st.text_input("Target caption", key="diff_to", bind="query-params")
        decodes = retrieved.decodes()
        prior = retrieved.decodes_words() and _way(before) == PRIOR
        timing, settings = path_fields("diff", 12, NOISES) if decodes else retrieval_fields("diff")
        turn = FRACTION if decodes else _turn_field()
    with right:
        if start and after.strip() and not decodes:
            _retrieve(Change(start, before, after.strip(), timing, settings), turn)
        elif start and after.strip():
            _show(Change(start, before, after.strip(), timing, settings, prior))
        else:
            example(
                "Choose an image or words to start from, and type a target caption.",
                examples.text_diff,
            )


def _way(before: str | None) -> str:
    """Ask for the way; without a current caption there is one only."""
    usual = list(WAYS).index(PRIOR if state.model().through_prior else ROTATE)
    way = st.radio("Way", list(WAYS), usual, captions=list(WAYS.values()), key="diff_way",
                   bind="query-params")  # fmt: skip
    if way == PRIOR and not before:
        st.caption("Without the current caption it rotates: the prior needs both.")
        return ROTATE
    return way


def _turn_field() -> float:
    return st.slider("Fraction of the angle", 0.0, 1.0, FRACTION, 0.01, key="diff_turn",
                     bind="query-params")  # fmt: skip


def _retrieve(change: Change, fraction: float) -> None:
    """Show the real images along the change."""
    timing, before = change.timing, change.before
    images = retrieved.found(
        lambda: Retrieval.text_diff(
            state.library(), change.start.query, before=before, after=change.after,
            fraction=fraction, count=timing.frames, fps=timing.fps,
            encoder=state.model().encoder,
        ),
        change,
        fraction,
    )  # fmt: skip
    if images is None:
        return
    python = copying.retrieve("text_diff", change.start.text, before=before, after=change.after,
                              fraction=fraction, count=timing.frames, fps=timing.fps)  # fmt: skip
    words = ["--from", before] if before else []
    command = ["unclip", "diff", change.start.text, *words, "--to", change.after]
    command += ["--fraction", str(fraction), *timing.options()]
    retrieved.show(images, "diff", python, command, [change.start])


def _show(change: Change) -> None:
    whole = planned(change.edit, "diff", change)
    if whole is None:
        return
    fraction = _fraction(change.usual_fraction)
    path = change.partly(whole, fraction)
    last = edits.decode(
        whole.model, path.points[-1:], noise=path.recipe.noise, settings=path.recipe.settings
    )
    here = _slide(whole, last, fraction, "way" if change.through_prior else "angle")
    if here is None:
        return
    _offer_last(change, here, fraction)
    rendering = decoded(path)
    if rendering is None:
        return
    strip(rendering)
    curve(rendering)
    before = ["--from", change.before] if change.before else []
    words = [change.start.text, *before, "--to", change.after, "--fraction", str(fraction)]
    if not change.by_itself:
        words += ["--through-prior" if change.through_prior else "--rotate"]
    command = ["unclip", "diff", *words, *command_options(change.timing, change.settings)]
    offer("diff", rendering, change.python(fraction), command, [change.start])


def _slide(whole: Rendering, last: Rendering, fraction: float, what: str) -> Rendering | None:
    """Show the slider with what lies at each place of it, and the image at its own place.

    Args:
        what: is gone through, in one word.

    Returns:
        That image, decoded; None if the person cancelled.
    """
    slot = st.container()
    previews = decoded(roughly(whole, PREVIEW_FRAMES), "Decoding previews")
    exact = decoded(last) if previews else None
    if previews is None or exact is None:
        return None
    with slot:
        told = scrub(previews, f"Fraction of the {what}", key="diff_scrub", at=fraction,
                     exact=exact[0])  # fmt: skip
    if told is not None:
        st.query_params["diff_turn"] = f"{told:.2f}"
        st.rerun()
    return exact


def _fraction(usual: float) -> float:
    """Read from the address how far to go, as a part of the whole way."""
    text = st.query_params.get("diff_turn", str(usual))
    with suppress(ValueError):
        if 0 <= (fraction := float(text)) <= 1:
            return fraction
    outputs.unknown("diff_turn", text, "a number from 0 to 1")
    return usual


def _offer_last(change: Change, last: Rendering, fraction: float) -> None:
    name = "changed.png"
    python = copying.python(
        f"path = {change.python(fraction)}",
        "edit = ex.edits.decode(model, path.points[-1:], noise=path.recipe.noise, "
        "settings=path.recipe.settings)",
        copying.save(name),
    )
    outputs.offer_replay(name, last, python, change.start.note)
