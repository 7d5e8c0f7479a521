"""Support: how far points lie from anything real, by where they come from.

The measures are those of `explorer.support`, which the dashboard's score reads as well.
"""

from typing import TYPE_CHECKING

from analysis.dataset import Dataset
from analysis.figures import histogram
from analysis.point_sets import IMAGES, RANDOM, point_sets, split
from analysis.section import Section
from explorer.metrics import wilson
from explorer.points import Points
from explorer.support import MEASURES, Support

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "How far do points lie from anything real, by where they come from?"
SOURCE = (
    "Betser et al. 2025, “Whitened CLIP as a likelihood surrogate”; Levi & Gilboa 2025, “The "
    "double-ellipsoid geometry of CLIP”; Sun et al. 2022, “Out-of-distribution detection with deep "
    "nearest neighbors”; Ledoit & Wolf 2004 for the covariance"
)
EDGE = 5  # a percentile below which a point counts as farther out than real ones
NAMES = {
    "nearest": "nearness of the 10th neighbour",
    "likelihood": "log-likelihood",
    "conformity": "conformity",
}


def outside(percentiles: "pd.Series[float]", edge: float = EDGE) -> tuple[int, int]:
    """How many points lie below the edge, and how many above its mirror, 100 - edge.

    Of real points `edge` per cent do each. Above lies what is more usual than anything real, such
    as a mean of many.

    >>> import pandas as pd
    >>> outside(pd.Series([1.0, 50, 99, 100]))
    (1, 2)
    """
    return int((percentiles < edge).sum()), int((percentiles > 100 - edge).sum())


def by_place(support: Support, groups: dict[str, Points]) -> "pd.DataFrame":
    """For each group and measure: the median percentile, and the share that lies far out.

    Columns: the share below the 5th percentile of real points with its Wilson interval, and the
    share above the 95th. Both are 0.05 for real points.
    """
    import pandas as pd

    table: list[tuple[object, ...]] = []
    for name, points in groups.items():
        scores = support.score(points)
        for measure in MEASURES:
            percentiles = scores[f"{measure} percentile"]
            (below, above), n = outside(percentiles), len(points)
            medians = scores[measure].median(), percentiles.median()
            table.append((name, NAMES[measure], n, *medians))
            table[-1] += (below / n, *wilson(below, n), above / n)
    columns = ["points", "measure", "n", "median", "median percentile", f"below {EDGE} %"]
    return pd.DataFrame(
        table, columns=[*columns, "low (95 %)", "high (95 %)", f"above {100 - EDGE} %"]
    )


def section(dataset: Dataset) -> Section:
    """Answer it for held-out images, and for points made of images, words and chance."""
    rows, rest = split(dataset, dataset.count)
    support = Support.fit(dataset.library.points(rest), seed=dataset.seed)
    groups = point_sets(dataset, rows, max(2, dataset.count // 4))
    table = by_place(support, groups)
    near = {name: points for name, points in groups.items() if name != RANDOM}  # they are too far
    scores = {name: support.score(points) for name, points in near.items()}
    return Section(
        name="support",
        question=QUESTION,
        finding=_finding(table),
        method=(
            f"Judged by {len(support.reference):,} images; percentiles among "
            f"{len(support.held_out):,} others; asked of {len(rows)} more, and of fewer points of "
            f"each other kind, drawn with seed {dataset.seed}. Whitening acts on raw vectors, so "
            "that lengths count. 95 % Wilson intervals. A percentile near 100 of likelihood or "
            "conformity is odd too: it means more usual than real points are."
        ),
        source=SOURCE,
        tables={"How far out points lie": table},
        figures={
            f"{NAMES[measure].capitalize()}": histogram(
                {name: found[measure].to_numpy() for name, found in scores.items()},
                {"likelihood": "nats"}.get(measure, "cosine"),
                bins=40,
            )
            for measure in MEASURES
        },
    )


def _finding(table: "pd.DataFrame") -> str:
    near = table[table["measure"] == NAMES["nearest"]].set_index("points")[f"below {EDGE} %"]
    others = ", ".join(
        f"{100 * share:.3g} % of {name}" for name, share in near.drop(IMAGES).items()
    )
    return (
        f"Farther from their neighbours than {100 - EDGE} % of real images are: {others}; and "
        f"{100 * near[IMAGES]:.3g} % of images that were held out, where {EDGE} % are expected."
    )
