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
SHEET = "/sheets/{key}/{sheet:int}"
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

    def sheets(request: "Request") -> Response:
        from explorer.app.map import atlas

        try:
            if request.path_params["key"] != state.library().cache_key:
                raise IndexError
            content, whole = atlas.sheet(request.path_params["sheet"])
        except IndexError:
            return Response("There is no such sheet in this version.", 404)
        headers = FOREVER if whole else NOT_KEPT
        return Response(content, media_type="image/webp", headers=headers)

    images = answer(state.small, "image/jpeg")
    captions = answer(words, "text/plain")
    return [Route(IMAGE, images), Route(CAPTION, captions), Route(SHEET, sheets)]


def addresses(library: Library) -> tuple[str, str]:
    """Return where the image and the caption of a row are, with "{row}" for its number."""
    return _address(library, IMAGE), _address(library, CAPTION)


def sheet_address(library: Library) -> str:
    """Return where a sheet of small images is, with "{sheet}" for its number."""
    return _address(library, SHEET)


def _address(library: Library, form: str) -> str:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    known = form.replace("{key}", library.cache_key).replace(":int}", "}")
    return f"/{base}{known}" if base else known
