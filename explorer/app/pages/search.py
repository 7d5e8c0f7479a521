"""Search: words and images, added and subtracted; what is near, and what lies there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from explorer import edits
from explorer.app import browsing, copying, examples, outputs, retrieved, state
from explorer.app.inputs import Input, ask, fill, take
from explorer.app.pages import hit
from explorer.app.server.decoding import decoded, planned
from explorer.app.support_words import say_support
from explorer.library import Hits
from explorer.library.searching import MinScore
from explorer.query import Query, Term, words_of
from explorer.settings import Settings

MAX_TERMS = 5
BINS = 20
HISTOGRAM_HITS = 1000  # hits that the histogram counts
NO_MATCH = (
    "Nothing here matches, or filters leave it out. To see the nearest images all the same, switch "
    "off “Only what matches”."
)
NONE_SCORES = "No image scores that high: lower the score, or remove filters."
Terms = Sequence[tuple[Input, float]]


def page() -> None:
    """Ask for a query, then show what is near."""
    st.title("Search")
    st.caption("Finds the images nearest to words, to images, or to a sum of both.")
    left, right = st.columns([1, 2], gap="large")
    with left:
        terms = _terms()
        auto = st.toggle(
            "Only what matches",
            key="auto",
            bind="query-params",
            help="Leaves out images that fit this query no better than they fit common phrases, "
            "or, for images, others of the library.",
        )
        with st.expander("Results"):
            count = st.slider("Number of images", 4, 60, 12, key="k", bind="query-params")
            least = st.slider("Lowest score", -1.0, 1.0, -1.0, 0.01, key="least",
                              bind="query-params")  # fmt: skip
            where = browsing.filters()
        drawing = retrieved.decodes() and st.toggle(
            "Decode this query", key="decode", bind="query-params"
        )
    with right:
        if not terms:
            _examples()
            return
        above = st.container()
        _results(terms, count, least, where, auto)
        if drawing:  # last, since it takes longest
            with above:
                _decode(terms)


def _examples() -> None:
    """Say what can be typed, with queries that this library has images for."""
    st.info("Type words, or choose an image: `cat - night` subtracts, `2:cat + sun` adds.")
    found = [text for text, _ in examples.phrases(4)] if len(state.library()) else []
    if len(found) < 2:
        return
    st.caption("For example")
    with st.container(horizontal=True):
        for text in filter(None, (*found, examples.difference())):
            st.button(text, key=f"example-{text}", on_click=fill, args=({"q0": text},))


def query_of(terms: Terms) -> Query:
    """Return the query of the terms, what is added first."""
    weighted = [replace(each.term, weight=weight) for each, weight in terms]
    return Query(tuple(sorted(weighted, key=lambda term: -term.weight)))


def _terms() -> list[tuple[Input, float]]:
    """Show fields for as many terms as are filled, and one more."""
    terms: list[tuple[Input, float]] = []
    for i in range(MAX_TERMS):
        asked = ask("and" if i else "Look for", f"q{i}")
        if asked is None:
            break
        weight = st.slider(f"Weight of term {i + 1}", -2.0, 2.0, 1.0, 0.25, key=f"w{i}",
                           bind="query-params")  # fmt: skip
        if weight:
            terms += _signed(asked, weight)
    if terms:
        avoid = st.text_input("Text to avoid", key="avoid", bind="query-params",
                              placeholder="words").strip()  # fmt: skip
        terms += _signed(Input(Term(avoid), avoid), -1.0) if avoid else []
    return terms


def _signed(asked: Input, weight: float) -> list[tuple[Input, float]]:
    """Read what was typed as a query: `- red heart` subtracts, `2:cat` counts twice."""
    if asked.term.is_image:
        return [(asked, weight)]
    return [
        (Input(replace(term, weight=1.0), term.text), weight * term.weight)
        for term in words_of(asked.term.text)
    ]


def _results(
    terms: Terms, count: int, least: float, where: dict[str, list[Any]], auto: bool = False
) -> None:
    library, query = state.library(), query_of(terms)
    point = query.points(state.model().encoder)
    lowest: MinScore = "auto" if auto else None
    ranked = library.search(point, max(HISTOGRAM_HITS, count), where=where, min_score=lowest)
    enough = int((ranked.scores >= least).sum())
    page = browsing.page_number(-(-enough // count))
    k = min(page * count, enough)
    if not k:
        st.info(NO_MATCH if auto and not ranked.matching else NONE_SCORES)
        return
    if ranked.verdict:
        shown = f"; the best {k:,} are shown" if k < (ranked.matching or 0) else ""
        shown = f"; {(page - 1) * count + 1:,} to {k:,} are shown" if page > 1 else shown
        st.caption(f"{ranked.verdict[0].upper()}{ranked.verdict[1:]}{shown}.")
    hits = library.search(point, k, where=where, min_score=lowest)
    first = (page - 1) * count
    outputs.found(hits, ("More like this", _more), since=first, opens=hit.open_row)
    browsing.turn_pages(page, -(-enough // count))
    hit.show_opened()
    _offer_hits(terms, hits, where, auto)
    with st.expander("Scores and table", key="scores", bind="query-params") as details:
        if details.open:
            _histogram(ranked.scores, least)
            st.dataframe(list(hits), hide_index=True)


def _more(row: int) -> None:
    """Look for one image of the library alone; runs before the next script."""
    take("q0", row)
    st.query_params.pop("page", None)
    st.session_state.update({"w0": 1.0, "avoid": ""})
    for i in range(1, MAX_TERMS):
        st.session_state.update({f"q{i}": "", f"q{i}_kind": "words"})


def _histogram(scores: np.ndarray, least: float) -> None:
    counts, edges = np.histogram(scores, bins=BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    enough = middles >= least
    table = {"score": [f"{middle:.3f}" for middle in middles], "shown": counts * enough,
             "below the lowest score": counts * ~enough}  # fmt: skip
    st.bar_chart(table, x="score", y=["shown", "below the lowest score"], height=260,
                 y_label=f"images of the {len(scores)} nearest")  # fmt: skip


def _offer_hits(terms: Terms, hits: Hits, where: dict[str, list[Any]], auto: bool) -> None:
    library, query = state.library(), str(query_of(terms))
    only = [f"--where={name}={value}" for name, values in where.items() for value in values]
    filters = (f", where={where!r}" if where else "") + (', min_score="auto"' if auto else "")
    cut = ["--min-score", "auto"] if auto else []
    python = copying.python(
        copying.library_line(),
        f"point = ex.Query.parse({query!r}).points(model.encoder)",
        f'library.search(point, {len(hits)}{filters}).save("hits.png")',
    )
    outputs.offer(
        "hits.png",
        hits.save,
        python=python,
        command=["unclip", "search", str(library.folder), query, "-k", str(len(hits)), *cut,
                 *only,
                 "--sheet", "hits.png"],
        note=_notes(terms),
    )  # fmt: skip


def _decode(terms: Terms) -> None:
    """Decode the query's own point."""
    query = query_of(terms)
    seed = st.number_input("Seed", 0, 9999, key="seed", bind="query-params")
    settings = Settings(seed=seed)
    edit = planned(
        lambda: edits.decode(state.model(), query, settings=settings), "query", query, seed
    )
    rendering = decoded(edit) if edit else None
    if rendering is None:
        return
    outputs.show(rendering[0], _label(terms), width=256)
    say_support(rendering.points)
    call = copying.call("decode", str(query), settings=settings)
    outputs.offer(
        "query.png",
        rendering.save,
        python=copying.python(f"edit = {call}", copying.save("query.png")),
        command=["unclip", "decode", str(query), *state.options(), "--seed", str(seed),
                 "-o", "query.png"],
        note=_notes(terms),
    )  # fmt: skip


def _label(terms: Terms) -> str:
    """Return the query as the page calls its terms."""
    return str(query_of([(replace(each, term=replace(each.term, name=each.label)), weight)
                         for each, weight in terms]))  # fmt: skip


def _notes(terms: Terms) -> str:
    return " ".join(each.note for each, _ in terms if each.note)
