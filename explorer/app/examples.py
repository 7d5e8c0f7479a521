"""Examples that fit this library.

Of the sample drawings, those that pocket changes best; of another library, phrases whose best
images fit no other phrase as well.
"""

from itertools import combinations, permutations
from os import fsencode
from pathlib import Path as FilePath

import numpy as np
import streamlit as st
from jaxtyping import Int

from explorer.app import retrieved, state
from explorer.app.inputs import LIBRARY, WORDS
from explorer.app.support_words import judged_by
from explorer.axes import Axes, Words
from explorer.errors import QueryError
from explorer.library import Library
from explorer.library.relevance import neutral_phrases
from explorer.notes import collecting
from explorer.query import Query, words_of
from explorer.samples import sample_edits, sample_walks

MAX_ROWS = 4000  # of a library that are looked at
POCKET = "pocket"
ROTATE, THROUGH_PRIOR = "Rotate", "Through the prior"  # as the page Text diff says it
COUNT = 8  # phrases to choose from
MAX_COUNT = 32  # that are kept
AXIS_PHRASES, MAX_AXES = 6, 6  # that axes are made of; pairs of axes that are tried
QUARTERS = (0.25, 0.5, 0.75)  # quantiles of the images along an axis
BEST_IMAGES, ALSO_NEAR = 12, 36  # of the first phrase of a difference, and of the second


def text_diff() -> dict[str, object]:
    """Return the fields of a text diff: of the sample, one that pocket makes well."""
    for example in sample_edits():
        rows = _rows_of(example.start)
        if rows and (retrieved.decodes_words() or not example.through_prior):
            words: dict[str, object] = {"diff_from": example.before, "diff_to": example.after}
            turn = {} if example.fraction is None else {"diff_turn": example.fraction}
            way = THROUGH_PRIOR if example.through_prior else ROTATE
            return _image("diff", rows[0]) | words | turn | {"diff_way": way}
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
    """Return an image to vary: of the sample, one that pocket changes well.

    Else it is one that phrases fit, most typical of what the decoder knows. The library has images.
    """
    rows = [found[0] for example in sample_edits() if (found := _rows_of(example.start))]
    if rows:
        return rows[0]
    rows = [row for _, row in phrases()]
    judged = judged_by()
    if judged is None:
        return rows[0]
    points = state.library().points(rows)
    return rows[int(judged[0].score(points)["nearest percentile"].to_numpy().argmax())]


def axes() -> dict[str, object]:
    """Return the fields of two axes along which the images differ most, each in its own way.

    Of such axes, it takes those on which fewest places lie where the decoder knows nothing.
    """
    fields = ("axes_x0", "axes_x1", "axes_y0", "axes_y1")
    words = [text for text, _ in phrases(AXIS_PHRASES)]
    if len(words) < len(fields):
        return dict(zip(fields, words, strict=False))
    chosen = min(_telling_axes(words), key=_share_outside)
    return dict(zip(fields, chosen[0] + chosen[1], strict=True))


def _telling_axes(words: list[str]) -> list[tuple[Words, Words]]:
    """Return pairs of axes of four phrases, along which images differ most and not together."""
    library = state.library()
    images = library.points(_looked_at(library)).unit
    read = state.model().encoder.encode_text(words).unit
    pairs = list(combinations(range(len(words)), 2))
    leads = np.stack([read[b] - read[a] for a, b in pairs])
    along = images @ (leads / np.linalg.norm(leads, axis=1, keepdims=True)).T
    spread, together = along.std(axis=0), np.abs(np.corrcoef(along.T))
    told = {
        (i, j): min(spread[i], spread[j]) * (1 - together[i, j])
        for i, j in combinations(range(len(pairs)), 2)
        if not set(pairs[i]) & set(pairs[j])
    }
    best = sorted(told, key=lambda each: -told[each])[:MAX_AXES]
    named = [(words[a], words[b]) for a, b in pairs]
    return [(named[i], named[j]) for i, j in best]


def _share_outside(pair: tuple[Words, Words]) -> float:
    """Return the share of places about the middle of two axes where no image is like the point."""
    judged, library = judged_by(), state.library()
    if judged is None:
        return 0.0
    axes = Axes.read(state.model().encoder, *pair)
    xy = axes.coordinates(points := library.points(_looked_at(library)))
    places = np.quantile(xy, QUARTERS, axis=0)
    base = points[[int(((xy - places[1]) ** 2).sum(axis=1).argmin())]]
    try:
        at = axes.at(base, np.array([(x, y) for x in places[:, 0] for y in places[:, 1]]))
    except QueryError:  # no point has these coordinates
        return 1.0
    return float(judged[0].outside(at).mean())


def difference() -> str | None:
    """Return a query of one phrase less another that changes what is found, and finds something.

    Of the clearest phrases, it is the pair for which most of the best images of the first are near
    the second too. None where no image is near two.
    """
    library = state.library()
    return _difference(library, str(library.folder), library.cache_key)


@st.cache_resource(max_entries=4, show_spinner="Looking for an example …")
def _difference(_library: Library, folder: str, key: str) -> str | None:  # noqa: ARG001
    words, encoder = [text for text, _ in phrases()], state.model().encoder
    hits = _library.search_many(encoder.encode_text(words), ALSO_NEAR)
    near = {text: found.rows.tolist() for text, found in zip(words, hits, strict=True)}
    both = {
        (one, other): len(set(near[one][:BEST_IMAGES]) & set(near[other]))
        for one, other in permutations(words, 2)
    }
    for one, other in sorted(both, key=lambda pair: -both[pair]):
        point = Query(words_of(query := f"{one} - {other}")).points(encoder)
        if both[one, other] and _library.search(point, 1, min_score="auto").matching:
            return query
    return None


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


def _looked_at(library: Library) -> Int[np.ndarray, " K"]:
    count = len(library)
    return np.unique(np.linspace(0, count - 1, min(MAX_ROWS, count)).astype(int))


@st.cache_resource(max_entries=4, show_spinner="Looking for an example …")
def _measured(_library: Library, folder: str, key: str) -> list[tuple[str, int]]:  # noqa: ARG001
    texts = neutral_phrases()
    rows = _looked_at(_library)
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
