"""How much a search of a server looks at: the least that finds enough, measured at publication."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.index.held_out import DEPTH, KINDS, NEIGHBOURS, HeldOut
from explorer.notes import note
from explorer.scale.entities import EFFORTS, is_exact, search_options

if TYPE_CHECKING:
    from explorer.library import Library

PER_KIND = 48  # queries by which an effort is chosen, and others by which recall is measured
LEAST_RECALL = 0.99  # of the worst kind
LEAST_MEASURED = 2 * PER_KIND  # rows, of which recall is measured


def queries_of(library: "Library") -> HeldOut | None:
    """Draw queries that choose and measure; None of a library with too few rows."""
    if len(library) < LEAST_MEASURED:
        return None
    measuring = (PER_KIND, PER_KIND, PER_KIND)
    choosing = (0, 0, 0) if is_exact(len(library)) else measuring
    return HeldOut.of(_Units(library), np.random.default_rng(0), choosing, measuring)


@dataclass(frozen=True)
class _Units:
    """Unit vectors of a library's rows, as `HeldOut` reads them."""

    library: "Library"

    def __len__(self) -> int:
        return len(self.library)

    @property
    def dimension(self) -> int:
        return self.library.space.dimension

    def units(self, rows: np.ndarray) -> np.ndarray:
        return units(self.library.vectors[rows])


def units(vectors: np.ndarray) -> np.ndarray:
    """Divide each row by its length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def chosen(client: Any, name: str, held: HeldOut) -> tuple[int | None, dict[str, float], float]:
    """Return the least effort that finds enough, and what other queries find by it.

    An exact index has no effort. A note says if even the most effort finds too little.
    """
    choosing, measuring = held.split()
    if not len(choosing.queries):
        return None, *measured(client, name, measuring, None)
    for effort in EFFORTS:
        if min(measured(client, name, choosing, effort)[0].values()) >= LEAST_RECALL:
            break
    recall, milliseconds = measured(client, name, measuring, effort)
    if (worst := min(recall.values())) < LEAST_RECALL:
        note(
            f"The server's index finds {worst:.1%} of the nearest images, less than "
            f"{LEAST_RECALL:.0%}. To miss none, search the library's folder with --exact."
        )
    return effort, recall, milliseconds


def measured(
    client: Any, name: str, held: HeldOut, effort: int | None
) -> tuple[dict[str, float], float]:
    """Return recall@10 by kind of query, and the median milliseconds of a query."""
    how = search_options(effort, NEIGHBOURS + 1)
    found, times = np.full((len(held.queries), DEPTH), -1), []
    for position, query in enumerate(held.queries):
        start = time.monotonic()
        hits = client.search(name, [query], output_fields=["row"], **how)[0]
        times.append(time.monotonic() - start)
        rows = [hit["entity"]["row"] for hit in hits]
        rows = [row for row in rows if row != held.own[position]][:NEIGHBOURS]
        found[position, : len(rows)] = rows
    recall = held.recall(held.places(found), np.full(len(found), NEIGHBOURS))
    return {kind: recall[kind] for kind in KINDS}, 1000 * float(np.median(times))
