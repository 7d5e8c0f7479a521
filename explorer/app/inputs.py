"""Fields for one thing to look for or to start from: words, an upload, or a library's image.

What a person types is words, never a file of the server: `Query.parse` is not asked here.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import streamlit as st
from streamlit.errors import StreamlitAPIException

from explorer.app import outputs, state
from explorer.app.server.uploads import kept, uploaded
from explorer.query import Query, Term

WORDS, UPLOAD, LIBRARY = "words", "upload", "library"
KINDS = {WORDS: "Words", UPLOAD: "Upload", LIBRARY: "Library"}
FOUND_IMAGES = 8  # to choose from


@dataclass(frozen=True)
class Input:
    """What a person asked for.

    Args:
        term: as queries have it; an image's file is the one on the server, and the term's name
            what copied text calls it.
        label: what the page calls it.
    """

    term: Term
    label: str

    @property
    def query(self) -> Query:
        """What an edit takes."""
        return Query((self.term,))

    @property
    def text(self) -> str:
        """The same as Python and the command line read it."""
        return str(self.query)

    @property
    def note(self) -> str:
        """What has to be done before copied text works elsewhere."""
        if not self.term.name:
            return ""
        return f"Save the image as {self.term.name} first, in the folder where you run this."


def ask(label: str, key: str, *, default: str = "") -> Input | None:
    """Show fields for one thing, and return it; None while they are empty.

    The address keeps all but uploads.

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
    return Input(Term(words), words) if words else None


def take(key: str, row: int | None) -> None:
    """Make an image of the library what `ask` with this key gives; for callbacks."""
    st.session_state[f"{key}_kind"] = LIBRARY
    if row is None:
        st.query_params.pop(f"{key}_row", None)
    else:
        st.query_params[f"{key}_row"] = str(row)


def fill(values: Mapping[str, object]) -> None:
    """Put values into fields, and so into the address; for callbacks.

    Streamlit writes a field's value into the address only if the field was there before, so what
    appears with the next run is written here.
    """
    for name, value in values.items():
        st.session_state[name] = value
        with suppress(StreamlitAPIException):  # the field is there, and the address follows it
            st.query_params[name] = KINDS.get(str(value), str(value))


def _of_library(label: str, key: str) -> Input | None:
    shown = state.library()
    chosen = st.query_params.get(f"{key}_row", "")
    if chosen.isdecimal() and int(chosen) < len(shown):
        row = int(chosen)
        outputs.show(state.thumbnail(row), state.caption(row))
        st.button("Choose another", key=f"{key}_other", on_click=take, args=(key, None))
        return of_row(row)
    if chosen:
        outputs.unknown(f"{key}_row", chosen, f"the number of an image, below {len(shown):,}")
    words = st.text_input(f"{label}: search words", key=f"{key}_find", bind="query-params",
                          label_visibility="collapsed", placeholder="search words")  # fmt: skip
    if words.strip():
        hits = shown.search(state.model().encoder.encode_text([words]), FOUND_IMAGES)
        outputs.found(hits, ("Choose", partial(take, key)), width=96, key=key)
    return None


def of_row(row: int) -> Input:
    """Return an image of the library, from its own file, or unpacked from its tar."""
    shown = state.library()
    record, label = shown.rows.iloc[row], state.caption(row)
    if record["member"]:
        identity = repr((str(shown.folder), shown.cache_key, row)).encode()
        return _of_upload(kept(identity, lambda: shown.open_image(row)), label)
    file = str(record["item"])
    return Input(Term(file, is_image=True), label)


def _of_upload(file: FilePath, name: str) -> Input:
    stem = re.sub(r"[^\w-]+", "-", FilePath(name).stem).strip("-") or "image"
    return Input(Term(str(file), is_image=True, name=f"./{stem}.png"), name)
