"""Variations: an image painted again in other ways, or a part of it anew."""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import streamlit as st
from PIL import Image

from explorer import edits
from explorer.app import outputs, state
from explorer.app.decoding import decoded, planned
from explorer.app.frames import in_command, in_python
from explorer.app.inputs import Asked, ask, take
from explorer.app.map.brush import brush, drawn, from_text, to_text
from explorer.images import open_image, save_image
from explorer.masks import as_grey
from explorer.points import Points
from explorer.query import Query, Term
from explorer.recipe import Recipe
from explorer.rendering import Made

VARY, PAINT = "Variations", "Paint a part anew"
MASK = "vary_mask"  # in the address
WIDTH = 200  # pixels


@dataclass(frozen=True)
class Images:
    """How many images of what, and how; no guidance is the decoder's own."""

    of: Asked
    n: int
    seed: int
    guidance: float | None

    def command(self, name: str, *words: str) -> list[str]:
        """A command of that name, with these words after the image."""
        guidance = [] if self.guidance is None else ["--guidance", str(self.guidance)]
        common = ["-n", str(self.n), "--seed", str(self.seed), *guidance, *state.options()]
        return ["unclip", name, in_command(self.of), *words, *common]


def page() -> None:
    """Ask for an image and what to do with it, then do it."""
    st.title("Variations")
    st.caption("Paints an image again in other ways, or a part of it anew.")
    left, right = st.columns([1, 2], gap="large")
    with left:
        of = ask("Image", "vary")
        doing = st.segmented_control("What to do", [VARY, PAINT], default=VARY, required=True,
                                     key="vary_do", bind="query-params")  # fmt: skip
        n = st.slider("How many", 1, 12, 4, key="vary_n", bind="query-params")
        seed = st.number_input("Seed", 0, 9999, key="vary_seed", bind="query-params")
        guidance = st.number_input("Guidance", 0.0, 20.0, None, 0.5, key="vary_guidance",
                                   placeholder="the decoder's own", bind="query-params",
                                   help="How strictly to follow the image's point.")  # fmt: skip
    with right:
        if of is None:
            st.info("Say what to vary.")
            if len(state.library()):
                st.button("Show an example", on_click=take, args=("vary", 0))
        elif doing == VARY:
            _vary(Images(of, n, seed, guidance))
        elif of.term.is_image:
            _paint(Images(of, n, seed, guidance))
        else:
            st.info("Words have no part to paint anew: choose an image.")


def _vary(asked: Images) -> None:
    eta = st.slider("η: how far from the image", 0.0, 1.0, 0.7, 0.05, key="vary_eta",
                    bind="query-params",
                    help="Above 0 an image is varied around its own noise; at 0 only its point "
                    "is kept, and each seed paints it in its own way.")  # fmt: skip
    model = state.model()

    def plan() -> Recipe:
        given: dict[str, Any] = {"eta": eta, "seed": asked.seed, "guidance": asked.guidance}
        stop = asked.of.stop(model, asked.seed)
        return edits.plan_images(model, [stop], asked.n, title=asked.of.label, **given)

    recipe = planned(plan, "vary", asked, eta)
    frames = decoded(recipe) if recipe else None
    if recipe is None or frames is None:
        return
    file = asked.of.term.text
    _tiles([open_image(file)] if asked.of.term.is_image else [], frames, asked.seed)
    text = in_command(asked.of)
    python = in_python(
        f"stop = edits.Stop.read(model, {text!r}, seed={asked.seed})",
        "recipe = edits.plan_images(",
        f"    model, [stop], {asked.n}, eta={eta}, seed={asked.seed}, guidance={asked.guidance}",
        ")",
        "frames = list(recipe.frames(model.decoder))",
        'Made(recipe, model, frames).write(Path("variations.png"))',
    )
    outputs.offer(
        "variations.png",
        Made(recipe, model, frames).write,
        python=python,
        command=[*asked.command("decode", "--eta", str(eta)), "-o", "variations.png"],
        note=asked.of.note,
    )


def _paint(asked: Images) -> None:
    text = st.text_input("What the whole shall show", key="vary_text", bind="query-params",
                         placeholder="what it shows now").strip()  # fmt: skip
    left, right = st.columns(2)
    with left:
        mask = _mask(open_image(asked.of.term.text))
    with right:
        if mask is None:
            st.info("Draw on the image where it shall be painted anew.")
        else:
            _painted(asked, text, mask)


def _painted(asked: Images, text: str, mask: Image.Image) -> None:
    model = state.model()

    def plan() -> Recipe:
        stop = asked.of.stop(model)
        given: dict[str, Any] = {"seed": asked.seed, "guidance": asked.guidance, "mask": mask}
        point, image = _point(stop, text, asked.seed), open_image(asked.of.term.text)
        return edits.plan_painted(model, image, point, asked.n, title=text, **given)

    recipe = planned(plan, "paint", asked, text, st.query_params[MASK])
    frames = decoded(recipe, "Painting") if recipe else None
    if recipe is None or frames is None:
        return
    _tiles([], frames, asked.seed)
    _offer_painted(asked, text, mask, Made(recipe, model, frames))


def _point(stop: edits.Stop, text: str, seed: int) -> Points:
    """As `edits.point_to_paint`, but what is typed is never the name of a file."""
    model = state.model()
    if text and model.prior is not None:
        return Query((Term(text),)).decodable(model.encoder, model.prior, seed)
    return edits.point_to_paint(model, stop, text or None, seed)


def _mask(image: Image.Image) -> Image.Image | None:
    """The mask drawn on the image, in its own pixels; None while there is none."""
    strokes = from_text(st.query_params.get(MASK, ""))
    size = st.slider("Width of the brush, %", 2, 50, 15, key="vary_brush") / 100
    told = brush(image, strokes, size, key="vary_canvas")
    if told is not None:
        st.query_params[MASK] = to_text(told)
        st.rerun()
    st.button("Clear", on_click=_clear, disabled=not strokes)
    return as_grey(drawn(strokes, image.size), image) if strokes else None


def _clear() -> None:
    st.query_params.pop(MASK, None)


def _offer_painted(asked: Images, text: str, mask: Image.Image, made: Made) -> None:
    words = str(Query((Term(text),))) if text else None
    with_text = ["--text", words] if words else []
    python = in_python(
        f"stop = edits.Stop.of_image(model, Path({asked.of.word!r}))",
        f"point = edits.point_to_paint(model, stop, {words!r}, {asked.seed})",
        'mask = as_grey(ex.open_image("mask.png"), stop.image)',
        "recipe = edits.plan_painted(",
        f"    model, stop.image, point, {asked.n}, seed={asked.seed}, mask=mask,",
        f"    guidance={asked.guidance},",
        ")",
        "frames = list(recipe.frames(model.decoder))",
        'Made(recipe, model, frames).write(Path("painted.png"))',
        needed="from explorer.masks import as_grey",
    )

    def write_mask(file: FilePath) -> None:
        save_image(mask, file)

    st.download_button("Download the mask", lambda: outputs.content_of("mask.png", write_mask),
                       "mask.png", on_click="ignore")  # fmt: skip
    outputs.offer(
        "painted.png",
        made.write,
        python=python,
        command=[*asked.command("inpaint", "--mask", "mask.png", *with_text), "-o", "painted.png"],
        note=f"Save the mask as mask.png first. {asked.of.note}",
    )


def _tiles(before: list[Image.Image], frames: list[Image.Image], seed: int) -> None:
    names = [*["the image"] * len(before), *(f"seed {seed + i}" for i in range(len(frames)))]
    outputs.tiles([*before, *frames], names, width=WIDTH)
