"""The page Features: sliders of what is in an image, and what it becomes when they are turned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from explorer import edits
from explorer.app import copying, examples, outputs, retrieved, state
from explorer.app.featured import Featured, default_words, featured, learnable
from explorer.app.inputs import LIBRARY, Input, ask, fill, of_row
from explorer.app.pages.frames import (
    Timing,
    command_options,
    example,
    offer,
    path_fields,
    retrieval_fields,
    strip,
)
from explorer.app.previews import roughly
from explorer.app.server.decoding import computed, decoded, is_decoded, planned
from explorer.app.widgets.scrub import scrub
from explorer.path import Path
from explorer.points import Points
from explorer.rendering import Rendering
from explorer.retrieval import Retrieval
from explorer.settings import Settings

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

LEARNT, WORDS = "Learnt", "Words"
TURN = "turn_"  # in the address, before the number or the word of a feature
STRONGEST = 6  # features of the image that have a slider
GALLERY = 12  # features that are shown while there is no image
EXAMPLE_AMOUNT = 3.0  # times what is usual
LIMIT = 4.0
NOISES = ("The first frame is the image itself.", "Drawn from the seed.")
SAVE_WORDS = "For the command, save the words as words.txt first, one a line."
SMALL = 62  # pixels
PREVIEW_WIDTH = 380
NEIGHBOURS = 6


@dataclass(frozen=True)
class Start:
    """The point whose features are turned, and how Python and a command name it."""

    asked: Input
    point: Points
    python: str


@dataclass(frozen=True)
class Turning:
    """What is turned: a start, by features, which are words or learnt (None), each by an amount."""

    start: Start
    found: Featured
    words: tuple[str, ...] | None
    amounts: Mapping[int | str, float]

    @property
    def features_python(self) -> str:
        """The features in Python."""
        given = f", words={list(self.words)!r}" if self.words else ""
        return f"ex.library_features({copying.library_text()}{given})"

    @property
    def command(self) -> list[str]:
        """The features and amounts as a command has them."""
        told = ["--words", "words.txt"] if self.words else []
        return [*told, *(f"--feature={key}={amount:g}" for key, amount in self.amounts.items())]


def page() -> None:
    """Ask for an image, show a slider for each of its features, and what turning them gives."""
    st.title("Features")
    st.caption("Takes an image apart into features, and turns each of them up or down.")
    if not len(state.library()):
        st.info("The library is empty: add images on the page Library.")
        return
    left, right = st.columns([1, 2], gap="large")
    with left:
        asked = ask("Start from", "feature")
        words = _words()
    if words == ():
        return
    with right:
        found = featured(words or ())
    if found is None:
        return
    if asked is None:
        with right:
            example("Choose an image, or words, to see its features.", lambda: _example(found))
            _gallery(found)
        return
    start = _start(asked)
    if start is None:
        return
    with left:
        turns = _sliders(found, start.point)
        decodes = retrieved.decodes()
        fields = path_fields("feature", 9, NOISES) if decodes else retrieval_fields("feature")
    with right:
        _result(Turning(start, found, words, turns), *fields)


def _words() -> tuple[str, ...] | None:
    """Ask which features; return their words, none yet as (), or None for those learnt."""
    kinds = [LEARNT, WORDS] if learnable() else [WORDS]
    kind = st.segmented_control("Features", kinds, default=kinds[0], required=True,
                                key="feature_of", bind="query-params",
                                help="Learnt from this library, or words that you choose."
                                )  # fmt: skip
    if kind == LEARNT:
        return None
    text = st.text_area("Words, with commas between them", default_words(), key="feature_words",
                        bind="query-params")  # fmt: skip
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if len(words) < 2:
        st.info("Type two words or more.")
    return words if len(words) > 1 else ()


def _start(asked: Input) -> Start | None:
    """Return the point to start from; words that nothing decodes stand for the nearest image."""
    if asked.term.is_image or retrieved.decodes_words():
        point = computed(lambda: _point(asked), "point", asked)
        text = f"ex.Query.parse({asked.text!r}).points(library.encoder)"
        return None if point is None else Start(asked, point, text)
    library = state.library()
    row = int(library.search(asked.query.points(state.model().encoder), 1).rows[0])
    st.caption(f"Starts from the image nearest to these words: "
               f"{outputs.escaped(state.caption(row))}.")  # fmt: skip
    return Start(of_row(row), library.points([row]), f"library.points([{row}])")


def _point(asked: Input) -> Points:
    if asked.term.is_image:
        return asked.query.points(state.model().encoder)
    return edits.decode(state.model(), asked.query).points


def _sliders(found: Featured, point: Points) -> dict[int | str, float]:
    """Show a slider for each feature of the point, and for those that are asked for."""
    labels = {found.label(place): place for place in range(len(found.features))}
    strong = found.strongest(point, STRONGEST)
    slot = st.container()
    more = st.multiselect("More features", sorted(labels), key="feature_more", bind="query-params")
    shown = [*strong, *(labels[each] for each in more), *_in_address(found)]
    turns: dict[int | str, float] = {}
    with slot:
        for place in dict.fromkeys(shown):
            key = found.key(place)
            label = outputs.escaped(found.label(place))
            amount = st.slider(label if place in strong else f"{label} (not in this image)",
                               -LIMIT, LIMIT, 0.0, 0.5, key=f"{TURN}{key}",
                               bind="query-params")  # fmt: skip
            _strip_of(found, place)
            if amount:
                turns[key] = amount
        st.button("Reset", on_click=_reset, disabled=not turns)
    return turns


def _in_address(found: Featured) -> list[int]:
    """Return the features that the address turns; say which of them there are not."""
    known = {str(found.key(place)): place for place in range(len(found.features))}
    places = []
    for name in st.query_params:
        if name.startswith(TURN) and (key := name.removeprefix(TURN)) in known:
            places.append(known[key])
        elif name.startswith(TURN):
            outputs.unknown(name, st.query_params[name], f"for one of {len(known)} features")
    return places


def _reset() -> None:
    for name in list(st.session_state):
        if str(name).startswith(TURN):
            st.session_state[name] = 0.0


def _strip_of(found: Featured, place: int) -> None:
    """Show the images in which a feature is strongest."""
    rows = found.top[place]
    with st.container(horizontal=True, gap="small", key=f"{outputs.SQUARE}-{place}"):
        for row in rows:
            st.image(state.thumbnail(row), width=SMALL, alt=state.caption(row))


def _gallery(found: Featured) -> None:
    """Show the most used features, each with its strongest images and a button."""
    st.caption(f"The most used of {len(found.features)} features, and the images in which each is "
               "strongest.")  # fmt: skip
    columns = st.columns(3, gap="medium")
    for i, place in enumerate(found.most_used(GALLERY)):
        with columns[i % 3]:
            st.markdown(f"**{outputs.escaped(found.label(place))}** {found.share[place]:.0%}")
            _strip_of(found, place)
            values = {f"{TURN}{found.key(place)}": EXAMPLE_AMOUNT}
            st.button("Turn up", key=f"up-{place}", type="tertiary",
                      help=f"Turn up: {outputs.escaped(found.label(place))}",
                      on_click=lambda v=values: fill(_beginning() | v))  # fmt: skip


def _beginning(row: int | None = None) -> dict[str, object]:
    chosen = examples.phrases(1)[0][1] if row is None else row
    return {"feature_kind": LIBRARY, "feature_row": chosen}


def _example(found: Featured) -> dict[str, object]:
    rows = [row for _, row in examples.phrases()]
    row, place = found.example(rows, EXAMPLE_AMOUNT)
    return _beginning(row) | {f"{TURN}{found.key(place)}": EXAMPLE_AMOUNT}


def _result(turning: Turning, timing: Timing, settings: Settings) -> None:
    if not turning.amounts:
        st.info("Move a slider to turn a feature up or down.")
        st.markdown("**Nearest real images**")
        outputs.found(state.library().search(turning.start.point, NEIGHBOURS), width=110)
    elif retrieved.decodes():
        _decode(turning, timing, settings)
    else:
        _retrieve(turning, timing)


def _decode(turning: Turning, timing: Timing, settings: Settings) -> None:
    asked, features = turning.start.asked, turning.found.features
    still = planned(
        lambda: edits.turn(state.model(), asked.query, features, {},
                           frames=timing.frames, fps=timing.fps, settings=settings),
        "turn", asked, turning.words, timing, settings,
    )  # fmt: skip
    if still is None:
        return
    edit = edits.turned(still, features, turning.amounts)
    slot = st.empty()
    _preview(edit, slot)
    rendering = decoded(edit)
    if rendering is None:
        return
    with slot:
        scrub(rendering, "Turned", key="feature_scrub", at=1.0)
    strip(rendering)
    code = copying.Code(turning.features_python)
    call = copying.call("turn", asked.text, code, dict(turning.amounts), frames=timing.frames,
                        fps=timing.fps, settings=settings)  # fmt: skip
    command = ["unclip", "turn", "--library", str(state.library().folder), asked.text,
               *turning.command, *command_options(timing, settings)]  # fmt: skip
    offer("feature", rendering, call, command, [asked], SAVE_WORDS if turning.words else "")


def _preview(edit: Rendering, slot: "DeltaGenerator") -> None:
    """Show the last frame in few steps, until all frames are there."""
    if is_decoded(edit):
        return
    rough = roughly(edit, len(edit)).recipe.settings
    last = edits.decode(edit.model, edit.points[-1:], noise=edit.recipe.noise, settings=rough)
    shown = decoded(last, "Decoding a preview")
    if shown is not None:
        slot.image(shown[0], width=PREVIEW_WIDTH, alt="a preview of what turning gives")


def _retrieve(turning: Turning, timing: Timing) -> None:
    """Show the real images between the image and what turning gives."""
    start, amounts = turning.start, turning.amounts
    turned = turning.found.features.edit(start.point, amounts)
    path = Path.through(Points.concat([start.point.as_image(), turned]))
    images = retrieved.found(
        lambda: Retrieval.along(state.library(), path, timing.frames, fps=timing.fps),
        "turn", start.asked, turning.words, sorted(amounts.items(), key=str), timing,
    )  # fmt: skip
    if images is None:
        return
    before = [f"point = {start.python}",
              f"turned = {turning.features_python}.edit(point, {dict(amounts)!r})"]  # fmt: skip
    path_text = "ex.Path.through(ex.Points.concat([point, turned]))"
    python = f"ex.Retrieval.along(library, {path_text}, {timing.frames}, fps={timing.fps})"
    retrieved.show(images, "feature", python, inputs=[start.asked], before=before)
