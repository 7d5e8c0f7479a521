"""How much of an index is looked at for a query, chosen by what it finds of held-out queries.

All lists are searched once. What fewer lists would find follows from that: the same rows, without
those of the lists that are left out.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from explorer.index.codes import Codes
from explorer.index.held_out import HeldOut

AIM = 0.9975  # recall@10 that is chosen for: few queries are held out, and words differ from them
LIST_SHARES = (1 / 32, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 1)
MARGINS = (0.95, 0.98, 0.99, 0.995, 1)  # quantiles of the errors of the nearest rows' codes
CANDIDATES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
FIRST_READ = 32  # rows that are read at first; then four times as many each time


@dataclass(frozen=True)
class Effort:
    """How much is looked at, and what it finds.

    Args:
        lists: whose codes are compared.
        candidates: rows of the best codes; as many may be read, best first.
        margin: by which a code's score may be too low: rows are read until the next code, raised
            by it, is below the last neighbour.
        reads: rows that are read for a held-out query, on average.
        recall: recall@10 by kind of held-out query.
    """

    lists: int
    candidates: int
    margin: float
    reads: float
    recall: dict[str, float]

    @property
    def lowest(self) -> float:
        """The recall of the kind of query with the lowest."""
        return min(self.recall.values())

    def cost(self, codes: Codes) -> float:
        """Estimate microseconds: 0.07 a thousand numbers that are scanned, 2.5 a row read."""
        scanned = len(codes) * self.lists / codes.lists * codes.numbers
        return 7e-5 * scanned + 2.5 * self.reads


def choose(codes: Codes, held_out: HeldOut) -> Effort:
    """Choose the least effort that finds enough, or else the one that finds most."""
    tried = _tried(codes, held_out)
    good = [effort for effort in tried if effort.lowest >= AIM]
    if good:
        return measured(codes, held_out, min(good, key=lambda effort: effort.cost(codes)))
    most = max(tried, key=lambda effort: (effort.lowest, -effort.cost(codes)))
    return measured(codes, held_out, most)


def measured(codes: Codes, held_out: HeldOut, effort: Effort) -> Effort:
    """Return an effort with the recall that its own search has."""
    allowed = _allowed(codes, held_out)
    scores, rows = codes.search(held_out.queries, effort.lists, effort.candidates, allowed)
    near = (scores + effort.margin > held_out.tenth[:, None]).sum(axis=1)
    reads = np.clip(near, FIRST_READ, effort.candidates)
    return replace(effort, recall=held_out.recall(held_out.places(rows), reads))


def _tried(codes: Codes, held_out: HeldOut) -> list[Effort]:
    """Return what every effort would find."""
    allowed, tried = _allowed(codes, held_out), []
    scores, rows = codes.search(held_out.queries, codes.lists, CANDIDATES[-1], allowed)
    lists, places = codes.list_of(rows), held_out.places(rows)
    for count in dict.fromkeys(max(1, round(share * codes.lists)) for share in LIST_SHARES):
        looked_at = codes.among(held_out.queries, lists, count, allowed)
        left = _places_left(looked_at, places)
        errors = held_out.errors(scores, np.where(left < len(scores[0]), places, len(scores[0])))
        for margin in np.quantile(errors, MARGINS) if len(errors) else ():
            near = (looked_at & (scores + margin > held_out.tenth[:, None])).sum(axis=1)
            for candidates in CANDIDATES:
                reads = np.clip(near, FIRST_READ, candidates)
                recall, mean = held_out.recall(left, reads), float(reads.mean())
                tried.append(Effort(count, candidates, float(margin), mean, recall))
    return tried


def _places_left(
    looked_at: Bool[np.ndarray, "Q C"], places: Int[np.ndarray, "Q E"]
) -> Int[np.ndarray, "Q E"]:
    """Return where rows stand among those that are looked at; C if they are not."""
    width = looked_at.shape[1]
    held = np.minimum(places, width - 1)
    there = (places < width) & np.take_along_axis(looked_at, held, axis=1)
    return np.where(there, np.take_along_axis(looked_at.cumsum(axis=1), held, axis=1) - 1, width)


def _allowed(codes: Codes, held_out: HeldOut) -> Bool[np.ndarray, " N"] | None:
    """Return which rows the queries were asked of."""
    return None if held_out.step == 1 else np.arange(len(codes)) % held_out.step == 0
