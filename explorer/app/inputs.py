"""Asking for one thing to look for or to start from: words, an upload, or a library's image.

What a person types is words, never a file of the server: `Query.parse` is not asked here.
"""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import streamlit as st

from explorer.app import outputs, state
from explorer.app.server.uploads import kept, uploaded
from explorer.app.thumbnails import caption
from explorer.edits import Stop
from explorer.images import open_image
from explorer.models import Model
from explorer.query import Query, Term

WORDS, UPLOAD, LIBRARY = "words", "upload", "library"
KINDS = {WORDS: "Words", UPLOAD: "Upload", LIBRARY: "Library"}
FOUND = 8  # images to choose from


@dataclass(frozen=True)
class Asked:
    """What a person asked for.

    Args:
        term: as queries have it; an image's file is the one on the server.
        label: what the person calls it.
        word: what stands for it in a command; differs from the term's text for uploads.
    """

    term: Term
    label: str
    word: str

    def stop(self, model: Model, seed: int = 0) -> Stop:
        """The point to start from, on the side of images, and the image if it is one."""
        point = Query((self.term,)).decodable(model.encoder, model.prior, seed)
        image = open_image(self.term.text) if self.term.is_image else None
        return Stop(point.with_labels([self.label]), image)

    @property
    def note(self) -> str:
        """What has to be done before the command works elsewhere."""
        if self.word == self.term.text:
            return ""
        return f"Save the image as {self.word} first, in the folder where you run this."


def ask(label: str, key: str, *, default: str = "") -> Asked | None:
    """Fields for one thing; None while they are empty. The address keeps all but uploads.

    Args:
        key: of the fields, in the address too.
        default: the words that stand there first.
    """
    kind = st.segmented_control(label, list(KINDS), default=WORDS, format_func=KINDS.__getitem__,
                                key=f"{key}_kind", bind="query-params", required=True)  # fmt: skip
    if kind == UPLOAD:
        given = uploaded(f"{label}: an image", key=f"{key}_file")
        return _of_upload(given[0].file, given[0].name) if given else None
    if kind == LIBRARY:
        return _of_library(label, key)
    words = st.text_input(f"{label}: words", default, key=key, bind="query-params",
                          label_visibility="collapsed", placeholder="words")  # fmt: skip
    words = words.strip()
    return Asked(Term(words), words, words) if words else None


def take(key: str, row: int | None) -> None:
    """Make an image of the library what `ask` with this key gives; for callbacks."""
    st.session_state[f"{key}_kind"] = LIBRARY
    if row is None:
        st.query_params.pop(f"{key}_row", None)
    else:
        st.query_params[f"{key}_row"] = str(row)


def _of_library(label: str, key: str) -> Asked | None:
    shown = state.library()
    chosen = st.query_params.get(f"{key}_row", "")
    if chosen.isdecimal() and int(chosen) < len(shown):
        row = int(chosen)
        outputs.show(state.thumbnail(row), caption(shown, row))
        st.button("Take another", key=f"{key}_other", on_click=take, args=(key, None))
        return of_row(row)
    words = st.text_input(f"{label}: find it by words", key=f"{key}_find", bind="query-params",
                          label_visibility="collapsed", placeholder="find it by words")  # fmt: skip
    if words.strip():
        hits = shown.search(state.model().encoder.encode_text([words]), FOUND)
        outputs.found(hits, ("Take this", partial(take, key)), width=96, key=key)
    return None


def of_row(row: int) -> Asked:
    """An image of the library, from its own file, or unpacked from its tar."""
    shown = state.library()
    record, label = shown.rows.iloc[row], caption(shown, row)
    if record["member"]:
        identity = repr((str(shown.folder), shown.cache_key, row)).encode()
        return _of_upload(kept(identity, lambda: shown.open_image(row)), label)
    file = str(record["item"])
    return Asked(Term(file, is_image=True), label, file)


def _of_upload(file: FilePath, name: str) -> Asked:
    stem = re.sub(r"[^\w-]+", "-", FilePath(name).stem).strip("-") or "image"
    return Asked(Term(str(file), is_image=True), name, f"./{stem}.png")
