"""How much of an index is looked at for a query, chosen by what it finds of held-out queries.

All lists are searched once. What fewer lists would find follows from that: the same rows, without
those of the lists that are left out.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.index.codes import ALL, Codes
from explorer.index.held_out import EQUAL, NEIGHBOURS, HeldOut

AIM = 0.9975  # recall@10 that is chosen for: few queries are held out, and words differ from them
LIST_SHARES = (1 / 32, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 1)
MARGINS = (0.95, 0.98, 0.99, 0.995, 1)  # quantiles of the errors of the nearest rows' codes
CANDIDATES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
SLACKS = (0.99, 0.995, 0.9975, 1)  # quantiles of what the lists of the nearest rows need
SECOND_SCAN = 500  # microseconds that a scan in two steps must save
FIRST_READ = 32  # rows that are read at first; then sixteen times as many each time


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
        slack: by which the score of a list's centre may be below that of the last neighbour; lists
            that lie farther are left out.
    """

    lists: int
    candidates: int
    margin: float
    reads: float
    recall: dict[str, float]
    slack: float = ALL

    @property
    def lowest(self) -> float:
        """The recall of the kind of query with the lowest."""
        return min(self.recall.values())

    def cost(self, codes: Codes) -> float:
        """Estimate microseconds: 0.07 a thousand numbers that are scanned, 2.5 a row read."""
        return self.scan_cost(codes) + 2.5 * self.reads

    def scan_cost(self, codes: Codes) -> float:
        """Estimate microseconds of the comparison of codes."""
        return 7e-5 * len(codes) * self.lists / codes.lists * codes.numbers


def choose(codes: Codes, held_out: HeldOut) -> Effort:
    """Choose the least effort that finds enough, or else the one that finds most."""
    tried = _tried(codes, held_out)
    good = [effort for effort in tried if effort.lowest >= AIM]
    if good:
        return min(good, key=lambda effort: effort.cost(codes))
    return max(tried, key=lambda effort: (effort.lowest, -effort.cost(codes)))


def narrowed(codes: Codes, held_out: HeldOut, effort: Effort) -> Effort:
    """Give an effort the least slack that finds enough, if that saves more than it costs.

    Queries near a row find their neighbours in few lists, those like words in many: how far the
    lists lie behind the neighbours tells them apart.
    """
    if effort.lists <= codes.first_lists:
        return effort
    kth, centres = _behind(codes, held_out, effort)
    right = held_out.scores >= held_out.tenth[:, None]
    theirs = codes.centre_scores(held_out.queries, codes.list_of(held_out.rows))
    needed = (kth[:, None] - theirs)[right] + EQUAL
    for slack in np.quantile(needed, SLACKS).tolist():
        saved = float((centres[:, codes.first_lists :] < kth[:, None] - slack).mean())
        if saved * effort.scan_cost(codes) < SECOND_SCAN:
            break
        tried = measured(codes, held_out, replace(effort, slack=slack))
        if tried.lowest >= min(AIM, effort.lowest):
            return tried
    return effort


def measured(codes: Codes, held_out: HeldOut, effort: Effort) -> Effort:
    """Return an effort with the recall that its own search has."""
    scores, rows = codes.search_near(
        held_out.queries,
        effort.lists,
        effort.candidates,
        effort.slack,
        NEIGHBOURS,
        _allowed(codes, held_out),
    )
    near = (scores + effort.margin > held_out.tenth[:, None]).sum(axis=1)
    reads = np.clip(near, FIRST_READ, effort.candidates)
    recall = held_out.recall(held_out.places(rows), reads)
    return replace(effort, recall=recall, reads=float(reads.mean()))


def _behind(
    codes: Codes, held_out: HeldOut, effort: Effort
) -> tuple[Float[np.ndarray, " Q"], Float[np.ndarray, "Q P"]]:
    """Return the code's score of the tenth row in the first lists, and those of all centres."""
    scores, _ = codes.search(held_out.queries, codes.first_lists, effort.candidates)
    return scores[:, NEIGHBOURS - 1], codes.nearest_centres(held_out.queries, effort.lists)


def _tried(codes: Codes, held_out: HeldOut) -> list[Effort]:
    """Return what every effort would find."""
    allowed, tried = _allowed(codes, held_out), []
    scores, rows = codes.search(held_out.queries, codes.lists, CANDIDATES[-1], allowed)
    turns, places = codes.turns(held_out.queries, rows, allowed), held_out.places(rows)
    errors = held_out.errors(scores, places)
    margins = np.quantile(errors if len(errors) else np.zeros(1), MARGINS).tolist()
    near = [(scores + margin > held_out.tenth[:, None]).sum(axis=1) for margin in margins]
    for count in dict.fromkeys(max(1, round(share * codes.lists)) for share in LIST_SHARES):
        looked_at = turns <= count
        upto = np.zeros((len(rows), scores.shape[1] + 1), np.int32)  # places before each
        np.cumsum(looked_at, axis=1, out=upto[:, 1:])
        left = _places_left(looked_at, upto, places)
        for margin, before in zip(margins, near, strict=True):
            nearer = np.take_along_axis(upto, before[:, None], axis=1)[:, 0]
            for candidates in CANDIDATES:
                reads = np.clip(nearer, FIRST_READ, candidates)
                recall, mean = held_out.recall(left, reads), float(reads.mean())
                tried.append(Effort(count, candidates, margin, mean, recall))
    return tried


def _places_left(
    looked_at: Bool[np.ndarray, "Q C"], upto: Int[np.ndarray, "Q B"], places: Int[np.ndarray, "Q E"]
) -> Int[np.ndarray, "Q E"]:
    """Return where rows stand among those that are looked at; C if they are not."""
    width = looked_at.shape[1]
    held = np.minimum(places, width - 1)
    there = (places < width) & np.take_along_axis(looked_at, held, axis=1)
    return np.where(there, np.take_along_axis(upto, held, axis=1), width)


def _allowed(codes: Codes, held_out: HeldOut) -> Bool[np.ndarray, " N"] | None:
    """Return which rows the queries were asked of."""
    return None if held_out.step == 1 else np.arange(len(codes)) % held_out.step == 0
