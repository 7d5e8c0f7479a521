"""Examples that fit this library.

Of the sample drawings, those that pocket changes best; of another library, phrases whose best
images fit no other phrase as well.
"""

from os import fsencode
from pathlib import Path as FilePath

import numpy as np
import streamlit as st

from explorer.app import retrieved, state
from explorer.app.inputs import LIBRARY, WORDS
from explorer.library import Library
from explorer.library.relevance import neutral_phrases
from explorer.notes import collecting
from explorer.samples import sample_edits, sample_walks

MAX_ROWS = 4000  # of a library that are looked at
POCKET = "pocket"
COUNT = 8  # phrases to choose from
MAX_COUNT = 32  # that are kept


def text_diff() -> dict[str, object]:
    """Return the fields of a text diff: of the sample, one that pocket makes well."""
    for example in sample_edits():
        rows = _rows_of(example.start)
        if rows and not example.through_prior:
            words: dict[str, object] = {"diff_from": example.before, "diff_to": example.after}
            turn = {} if example.fraction is None else {"diff_turn": example.fraction}
            return _image("diff", rows[0]) | words | turn
    first, second = pair()
    return start("diff", first) | {"diff_from": first[0], "diff_to": second[0]}


def walk() -> dict[str, object]:
    """Return the fields of a walk: of the sample, one between which pocket shows most."""
    for files in sample_walks():
        rows = _rows_of(*files)
        if rows:
            return _image("walk_0", rows[0]) | _image("walk_1", rows[1])
    first, second = pair()
    return start("walk_0", first) | start("walk_1", second)


def row() -> int:
    """Return an image to vary: of the sample, one that pocket changes well."""
    rows = [found[0] for example in sample_edits() if (found := _rows_of(example.start))]
    return rows[0] if rows else 0


def _rows_of(*files: FilePath) -> list[int]:
    """Return the rows of sample drawings; none unless all are here, and pocket decodes."""
    model = state.model()
    if not retrieved.decodes() or model.name != POCKET or model.decoder_from:
        return []
    known = {path: row for row, path in enumerate(state.library().rows["path"])}
    rows = [known.get(fsencode(file)) for file in files]
    return [] if None in rows else [row for row in rows if row is not None]


def _image(key: str, row: int) -> dict[str, object]:
    return {f"{key}_kind": LIBRARY, f"{key}_row": row}


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
    return _image(key, found[1])


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
