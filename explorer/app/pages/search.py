"""Search: words and images, added and subtracted; what is near, and what lies there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import streamlit as st

from explorer import edits
from explorer.app import outputs, state
from explorer.app.decoding import decoded, planned
from explorer.app.inputs import Asked, ask, take
from explorer.library import Hits
from explorer.library.sheet import write_sheet
from explorer.query import Query
from explorer.recipe import Recipe
from explorer.rendering import Made

MOST_TERMS = 5
BINS = 20
RANKED = 1000  # hits that the histogram counts
MOST_VALUES = 200  # of a column, to choose from
Terms = Sequence[tuple[Asked, float]]
_file = attrgetter("term.text")
_word = attrgetter("word")
_label = attrgetter("label")


def page() -> None:
    """Ask, then show what is near."""
    st.title("Search")
    st.caption("Finds the images nearest to words, to images, or to a sum of both.")
    left, right = st.columns([1, 2], gap="large")
    with left:
        terms = _terms()
        with st.expander("How many, and which"):
            count = st.slider("How many images", 4, 60, 12, key="k", bind="query-params")
            least = st.slider("Lowest score", -1.0, 1.0, -1.0, 0.01, key="least",
                              bind="query-params")  # fmt: skip
            where = _filters()
        drawing = st.toggle("Decode this query", key="decode", bind="query-params")
    with right:
        if not terms:
            st.info("Type words, or choose an image. A weight below zero takes away.")
            return
        above = st.container()
        _results(terms, count, least, where)
        if drawing:  # last, since it takes longest
            with above:
                _decode(terms)


def query_of(terms: Terms, text: Callable[[Asked], str]) -> Query:
    """The query of the terms, what is added first.

    Args:
        text: what stands for a term: its words or file, its word in a command, or its label.
    """
    made = [replace(asked.term, weight=weight, text=text(asked)) for asked, weight in terms]
    return Query(tuple(sorted(made, key=lambda term: -term.weight)))


def _terms() -> list[tuple[Asked, float]]:
    """Fields for as many terms as are filled, and one more."""
    terms: list[tuple[Asked, float]] = []
    for i in range(MOST_TERMS):
        asked = ask("and" if i else "Look for", f"q{i}")
        if asked is None:
            break
        weight = st.slider(f"Weight of term {i + 1}", -2.0, 2.0, 1.0, 0.25, key=f"w{i}",
                           bind="query-params")  # fmt: skip
        if weight:
            terms.append((asked, weight))
    return terms


def _filters() -> dict[str, list[Any]]:
    """Wanted values of columns that the person chooses."""
    rows, where = state.library().rows, {}
    columns = st.multiselect("Only where these columns …", state.library().columns, key="columns",
                             bind="query-params")  # fmt: skip
    for name in columns:
        values = rows[name].value_counts().index[:MOST_VALUES]
        wanted = st.multiselect(f"… {outputs.escaped(name)} is one of", list(map(str, values)),
                                key=f"is_{name}", bind="query-params")  # fmt: skip
        if wanted:
            where[name] = wanted
    return where


def _results(terms: Terms, count: int, least: float, where: dict[str, list[Any]]) -> None:
    library, query = state.library(), query_of(terms, _file)
    point = query.points(state.model().encoder)
    ranked = library.search(point, max(RANKED, count), where=where)
    k = min(count, int((ranked.scores >= least).sum()))
    if not k:
        st.info("Nothing is as near as that: lower the score, or choose fewer conditions.")
        return
    hits = library.search(point, k, where=where)
    if hits.note:
        st.caption(hits.note)
    outputs.found(hits, ("More like this", _more))
    _offer_hits(terms, hits, where)
    with st.expander("Scores and table", key="scores", bind="query-params") as details:
        if details.open:
            _histogram(ranked.scores, least)
            st.dataframe(list(hits), hide_index=True)


def _more(row: int) -> None:
    """Look for one image of the library alone; runs before the next script."""
    take("q0", row)
    st.session_state["w0"] = 1.0
    for i in range(1, MOST_TERMS):
        st.session_state[f"q{i}"] = ""
        st.session_state[f"q{i}_kind"] = "words"


def _histogram(scores: np.ndarray, least: float) -> None:
    counts, edges = np.histogram(scores, bins=BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    enough = middles >= least
    table = {"score": [f"{middle:.3f}" for middle in middles], "shown": counts * enough,
             "below the lowest score": counts * ~enough}  # fmt: skip
    st.bar_chart(table, x="score", y=["shown", "below the lowest score"], height=260,
                 y_label=f"of the {len(scores)} nearest")  # fmt: skip


def _offer_hits(terms: Terms, hits: Hits, where: dict[str, list[Any]]) -> None:
    library, query = state.library(), query_of(terms, _word)
    only = [f"--where={name}={value}" for name, values in where.items() for value in values]
    python = f"""import explorer as ex

library = ex.Library.open({str(library.folder)!r})
model = {state.load_line()}
query = ex.Query.parse({str(query)!r})
hits = library.search(query.points(model.encoder), {len(hits)}, where={where!r})
print(hits.to_pandas())"""
    outputs.offer(
        "hits.png",
        lambda file: write_sheet(library, hits, file),
        python=python,
        command=["unclip", "search", str(library.folder), str(query), "-k", str(len(hits)), *only,
                 "--sheet", "hits.png"],
        note=_notes(terms),
    )  # fmt: skip


def _decode(terms: Terms) -> None:
    """What the decoder draws at the query's own point."""
    model, query = state.model(), query_of(terms, _file)
    seed = st.number_input("Seed", 0, 9999, key="seed", bind="query-params")
    label = str(query_of(terms, _word))

    def plan() -> Recipe:
        point = query.decodable(model.encoder, model.prior, seed).with_labels([label])
        stop = edits.Stop(point, None)
        return edits.plan_images(model, [stop], 1, eta=0.0, seed=seed, title=label)

    recipe = planned(plan, "query", str(query), seed)
    frames = decoded(recipe) if recipe else None
    if recipe is None or not frames:
        return
    outputs.show(frames[0], str(query_of(terms, _label)), width=256)
    python = f"""import explorer as ex

model = {state.load_line()}
query = ex.Query.parse({label!r})
point = query.decodable(model.encoder, model.prior, seed={seed})
ex.save_image(next(model.decoder.decode(point, seed={seed})), "query.png")"""
    outputs.offer(
        "query.png",
        Made(recipe, model, frames).write,
        python=python,
        command=["unclip", "decode", label, *state.options(), "--seed", str(seed),
                 "-o", "query.png"],
        note=_notes(terms),
    )  # fmt: skip


def _notes(terms: Terms) -> str:
    return " ".join(asked.note for asked, _ in terms if asked.note)
