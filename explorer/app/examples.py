"""Examples that fit this library: phrases whose best images fit no other phrase as well."""

import numpy as np
import streamlit as st

from explorer.app import retrieved, state
from explorer.app.inputs import LIBRARY, WORDS
from explorer.library import Library
from explorer.library.relevance import neutral_phrases
from explorer.notes import collecting

MAX_ROWS = 4000  # of a library that are looked at
COUNT = 8  # phrases to choose from
MAX_COUNT = 32  # that are kept


def phrases(count: int = COUNT) -> list[tuple[str, int]]:
    """Return phrases that fit, each with the row of its best image, the clearest first.

    A phrase counts if the image that fits it best fits no other phrase better, both measured
    beside what all phrases score at that image; images do not come twice.
    """
    library = state.library()
    return _measured(library, str(library.folder), library.cache_key)[:count] if library else []


def pair() -> tuple[tuple[str, int], tuple[str, int]]:
    """Return the two of them whose images are most alike: a change between them is small.

    The library has two images or more.
    """
    found = phrases()
    unit = state.library().points([row for _, row in found]).unit
    alike = unit @ unit.T
    np.fill_diagonal(alike, -1)
    first, second = divmod(int(alike.argmax()), len(found))
    return found[first], found[second]


def start(key: str, found: tuple[str, int]) -> dict[str, object]:
    """Return the fields that start from an example: words where they decode, else its image."""
    if retrieved.decodes_words() or not retrieved.decodes():
        return {f"{key}_kind": WORDS, key: found[0]}
    return {f"{key}_kind": LIBRARY, f"{key}_row": found[1]}


@st.cache_resource(max_entries=4, show_spinner="Looking for an example …")
def _measured(_library: Library, folder: str, key: str) -> list[tuple[str, int]]:  # noqa: ARG001
    texts = neutral_phrases()
    rows = np.unique(np.linspace(0, len(_library) - 1, min(MAX_ROWS, len(_library))).astype(int))
    with collecting():  # what a phrase lacks in the model is not the person's concern
        read = state.model().encoder.encode_text(texts)
    cosines = read.unit @ _library.points(rows).unit.T
    above = cosines - cosines.mean(axis=0)
    above -= above.mean(axis=1, keepdims=True)
    best = above.argmax(axis=1)
    chosen: dict[int, str] = {}
    order = np.argsort(-above.max(axis=1), kind="stable")
    mutual = [i for i in order if above[:, best[i]].argmax() == i]
    for i in [*mutual, *order]:  # the others only where too few are clear
        chosen.setdefault(int(rows[best[i]]), texts[i])
    return [(text, row) for row, text in chosen.items()][:MAX_COUNT]
