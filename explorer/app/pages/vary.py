"""Variations: an image decoded again in other ways, or a part of it replaced."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st
from PIL import Image

from explorer import edits
from explorer.app import copying, examples, outputs, retrieved, state
from explorer.app.inputs import Input, ask, take
from explorer.app.previews import rough_first
from explorer.app.server.decoding import decoded, planned
from explorer.app.support_words import say_support
from explorer.app.widgets.brush import brush, drawn, from_text, to_text
from explorer.images import open_image, save_image
from explorer.masks import as_grey
from explorer.query import Query, Term
from explorer.rendering import Rendering
from explorer.settings import Settings

VARY, INPAINT = "Variations", "In-painting"
MASK = "vary_mask"  # in the address
WIDTH = 200  # pixels


@dataclass(frozen=True)
class Order:
    """What was asked for: images of what, their number, and how they are decoded."""

    of: Input
    count: int
    settings: Settings

    @property
    def first_seed(self) -> int:
        """The seed of the first image; the others follow it."""
        seed = self.settings.seed
        return seed if isinstance(seed, int) else seed[0]

    def command(self, name: str, *words: str) -> list[str]:
        """Return a command of that name, with these words after the image."""
        guidance = self.settings.guidance
        given = [] if guidance is None else ["--guidance", str(guidance)]
        common = ["-n", str(self.count), "--seed", str(self.first_seed), *given]
        return ["unclip", name, self.of.text, *words, *common, *state.options()]


def page() -> None:
    """Ask for an image and what to do with it, then do it."""
    st.title("Variations")
    st.caption("Decodes an image again in other ways, or replaces a part of it.")
    if not retrieved.decodes():
        retrieved.say_what_decodes("Nothing can be decoded here")
        return
    left, right = st.columns([1, 2], gap="large")
    with left:
        of = ask("Image", "vary")
        doing = st.segmented_control("Edit", [VARY, INPAINT], default=VARY, required=True,
                                     key="vary_do", bind="query-params")  # fmt: skip
        count = st.slider("Number of images", 1, 12, 4, key="vary_n", bind="query-params")
        seed = st.number_input("Seed", 0, 9999, key="vary_seed", bind="query-params")
        guidance = st.number_input("Guidance", 0.0, 20.0, None, 0.5, key="vary_guidance",
                                   placeholder="the decoder's default", bind="query-params",
                                   help="How closely to follow the image's point.")  # fmt: skip
    with right:
        if of is None:
            st.info("Choose an image, or type words.")
            if len(state.library()):
                st.button("Show an example", on_click=lambda: take("vary", examples.row()))
            return
        order = Order(of, count, Settings(seed=seed, guidance=guidance))
        if doing == VARY:
            _vary(order)
        elif of.term.is_image:
            _inpaint(order)
        else:
            st.info("In-painting replaces a part of an image: choose an image.")


def _vary(order: Order) -> None:
    eta = st.slider("Noise level η", 0.0, 1.0, 0.7, 0.05, key="vary_eta", bind="query-params",
                    help="How far from the image. Above 0 an image is varied around its own "
                    "noise; at 0 only its point is kept, and each seed gives another image."
                    )  # fmt: skip
    settings = order.settings.changed(eta=eta)
    edit = _varied(order, settings)
    if edit is None:
        return
    before = [open_image(order.of.term.text)] if order.of.term.is_image else []
    rendering = rough_first(edit, lambda shown: _tiles(before, shown, order.first_seed))
    if rendering is None:
        return
    say_support(edit.points[:1])
    order = replace(order, settings=settings)
    call = copying.call("variations", order.of.text, count=order.count, settings=order.settings)
    outputs.offer(
        "variations.png",
        rendering.save,
        python=copying.python(f"edit = {call}", copying.save("variations.png")),
        command=[*order.command("decode", "--eta", str(eta)), "-o", "variations.png"],
        note=order.of.note,
    )


def _varied(order: Order, settings: Settings) -> Rendering | None:
    """Return what `edits.variations` does; what the image is found from once is not found again.

    To invert an image takes longer than to decode it, and does not depend on η, count or guidance.
    """
    of, seed = order.of, order.first_seed
    inverts = of.term.is_image and settings.eta > 0
    alone = Settings(seed=seed, noise="inverted" if inverts else None)
    start = planned(
        lambda: edits.decode(state.model(), of.query, settings=alone), "vary", of, alone
    )
    if start is None:
        return None
    settings = settings.changed(noise="inverted") if inverts else settings
    noise = start.recipe.noise
    return edits.decode(start.model, start.points, count=order.count, noise=noise,
                        settings=settings)  # fmt: skip


def _inpaint(order: Order) -> None:
    text = st.text_input("Target caption", key="vary_text", bind="query-params",
                         placeholder="what it shows now",
                         help="What the whole image is to show.").strip()  # fmt: skip
    left, right = st.columns(2)
    with left:
        mask = _mask(open_image(order.of.term.text))
    with right:
        if mask is None:
            st.info("Draw on the image to mark the part to replace.")
        else:
            _inpainted(order, text, mask)


def _inpainted(order: Order, text: str, mask: Image.Image) -> None:
    model = state.model()
    words = Query((Term(text),)) if text else None  # never the name of a file
    target = text if words and model.prior is None else words  # rotates towards it, see inpaint
    edit = planned(
        lambda: edits.inpaint(
            model,
            order.of.query,
            mask,
            text=target,
            count=order.count,
            settings=order.settings,
        ),
        "inpaint",
        order,
        text,
        st.query_params[MASK],
    )
    rendering = decoded(edit) if edit else None
    if rendering is None:
        return
    _tiles([], rendering, order.first_seed)
    say_support(rendering.points[:1])
    _offer_inpainted(order, str(target) if target else None, mask, rendering)


def _mask(image: Image.Image) -> Image.Image | None:
    """Return the mask drawn on the image, in its own pixels; None while there is none."""
    strokes = from_text(st.query_params.get(MASK, ""))
    size = st.slider("Brush width, %", 2, 50, 15, key="vary_brush") / 100
    told = brush(image, strokes, size, key="vary_canvas")
    if told is not None:
        st.query_params[MASK] = to_text(told)
        st.rerun()
    st.button("Clear", on_click=_clear, disabled=not strokes)
    return as_grey(drawn(strokes, image.size), image) if strokes else None


def _clear() -> None:
    st.query_params.pop(MASK, None)


def _offer_inpainted(
    order: Order, text: str | None, mask: Image.Image, rendering: Rendering
) -> None:
    st.download_button(
        "Download the mask",
        lambda: outputs.content_of("mask.png", lambda file: save_image(mask, file)),
        "mask.png",
        on_click="ignore",
    )
    call = copying.call("inpaint", order.of.text, "mask.png", text=text, count=order.count,
                        settings=order.settings)  # fmt: skip
    words = ["--text", text] if text else []
    outputs.offer(
        "painted.png",
        rendering.save,
        python=copying.python(f"edit = {call}", copying.save("painted.png")),
        command=[*order.command("inpaint", "--mask", "mask.png", *words), "-o", "painted.png"],
        note=f"Save the mask as mask.png first. {order.of.note}",
    )


def _tiles(before: list[Image.Image], frames: Sequence[Image.Image], seed: int) -> None:
    names = [*["the image"] * len(before), *(f"seed {seed + i}" for i in range(len(frames)))]
    outputs.tiles([*before, *frames], names, width=WIDTH)
