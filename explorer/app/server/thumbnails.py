"""Small images and captions of library rows, each at an address of its own.

The map asks for them one by one, as they are pointed at or come close. Addresses name a version of
the library, so that a browser may keep what it has seen.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from explorer.app import state
from explorer.errors import ExplorerError
from explorer.library import Library

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

IMAGE = "/images/{key}/{row:int}"
CAPTION = "/captions/{key}/{row:int}"
NOT_KEPT = {"Cache-Control": "no-store"}  # the file may come back
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def routes() -> "list[Route]":
    """Return what `st.App` must serve besides its own."""
    from starlette.responses import Response
    from starlette.routing import Route

    def answer(content: Callable[[int], bytes], media: str) -> Callable[..., Response]:
        def respond(request: "Request") -> Response:
            row, library = request.path_params["row"], state.library()
            if request.path_params["key"] != library.cache_key or row >= len(library):
                return Response("There is no such image in this version.", 404)
            try:
                return Response(content(row), media_type=media, headers=FOREVER)
            except ExplorerError as error:
                return Response(state.tile_of(row, error), media_type=media, headers=NOT_KEPT)

        return respond

    def words(row: int) -> bytes:
        return state.caption(row).encode("utf-8", "replace")

    images = answer(state.small, "image/jpeg")
    return [Route(IMAGE, images), Route(CAPTION, answer(words, "text/plain"))]


def addresses(library: Library) -> tuple[str, str]:
    """Return where the image and the caption of a row are, with "{row}" for its number."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    forms = (
        form.replace("{key}", library.cache_key).replace("{row:int}", "{row}")
        for form in (IMAGE, CAPTION)
    )
    image, words = (f"/{base}{form}" if base else form for form in forms)
    return image, words
