"""Round trip: what the encoder sees in a decoded point, against the point itself.

Over images, points between them, places on the map and words, with and without the prior; and
where the decoder is blind.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from analysis.dataset import Dataset
from analysis.figures import bars, lines, strip
from analysis.judging import by_other
from analysis.point_sets import IMAGES, point_sets, split
from analysis.questions.pca import Components
from analysis.section import Section
from explorer.errors import ExplorerError
from explorer.metrics import bootstrap, cosines, recall, spearman
from explorer.notes import note
from explorer.points import Points
from explorer.support import MEASURES, Support

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Does a decoded image show what its point says, and where is the decoder blind?"
SOURCE = "Ramesh et al. 2022, section 3; the measures are plain cosines and correlations"
EDGES = (0, 5, 10, 20, 40, 80, 160, 320, 640, 1280)  # of groups of principal components
SHOWN = 8
JUDGED = "Does another encoder find an image by its decode?"


def scores(groups: dict[str, Points], seen: dict[str, Points], seed: int = 0) -> "pd.DataFrame":
    """The cosine of each point with what is seen in its decode, by group.

    Columns: the mean with its bootstrap interval, the 5 % quantile, the cosine of each point with
    the next one's decode (which is what chance gives), and how often a decode lies nearest to its
    own point of all n.
    """
    import pandas as pd

    table: list[tuple[object, ...]] = []
    for name, points in groups.items():
        found, n = cosines(points, seen[name]), len(points)
        other = cosines(points, seen[name][np.roll(np.arange(n), -1)])
        first = recall(seen[name].unit @ points.unit.T, np.arange(n), 1)
        low, high = bootstrap(found, seed=seed)
        table.append((name, n, found.mean(), low, high, np.quantile(found, 0.05)))
        table[-1] += (other.mean(), first, 1 / n)
    columns = ["points", "n", "cosine", "low (95 %)", "high (95 %)", "5 % quantile"]
    columns += ["with the next one's decode", "own point first", "chance of that"]
    return pd.DataFrame(table, columns=columns)


def by_component(
    points: Points, seen: Points, axes: Float[np.ndarray, "D K"], seed: int = 0
) -> "pd.DataFrame":
    """How well each principal component comes through: its correlation over the points, in groups.

    0 is blind. Columns: the first and last component of a group, the mean correlation over the
    group, and its bootstrap interval over points.

    Args:
        axes: principal axes, the widest first.
    """
    import pandas as pd

    both = np.stack([points.vectors @ axes, seen.vectors @ axes], axis=1)  # N 2 K
    table = []
    for first, last in pairwise(EDGES):
        part = both[:, :, first:last]
        if part.shape[2]:
            last = first + part.shape[2]
            interval = bootstrap(part, _correlation, seed=seed, draws=200)
            table.append((first + 1, last, _correlation(part), *interval))
    columns = ["component", "last component", "correlation", "low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=columns)


def _correlation(both: Float[np.ndarray, "N 2 K"]) -> float:
    """Pearson's correlation of the two, averaged over components; 0 where one stands still."""
    first, second = np.moveaxis(both - both.mean(0), 1, 0)
    sizes = np.sqrt((first**2).sum(0) * (second**2).sum(0))
    return float(((first * second).sum(0) / np.maximum(sizes, 1e-12)).mean())


def foretold(
    support: "pd.DataFrame", found: Float[np.ndarray, " N"], seed: int = 0
) -> "pd.DataFrame":
    """Does support foretell the round trip? Spearman's rank correlation of each measure with it.

    Args:
        support: scores of the points, as `Support.score` gives them.
        found: cosines of their round trips.

    >>> import pandas as pd
    >>> scores = pd.DataFrame(dict.fromkeys(MEASURES, [1.0, 2, 9]))
    >>> foretold(scores, np.array([0.1, 0.2, 0.3]))["rank correlation"].round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    import pandas as pd

    def correlation(pairs: Float[np.ndarray, "N 2"]) -> float:
        return spearman(*pairs.T)

    table = []
    for measure in MEASURES:
        pairs = np.stack([support[measure].to_numpy(), found], axis=1)
        interval = bootstrap(pairs, correlation, seed=seed)
        table.append((measure, len(pairs), correlation(pairs), *interval))
    return pd.DataFrame(
        table, columns=["measure", "n", "rank correlation", "low (95 %)", "high (95 %)"]
    )


def section(dataset: Dataset) -> Section:
    """Answer it for `count` / 4 images, and for `count` / 10 points of each other kind."""
    decoder = dataset.require_decoder("The round trip")
    rows, rest = split(dataset, max(2, dataset.count // 4))
    groups = point_sets(dataset, rows, max(2, dataset.count // 10))
    seen = {name: dataset.seen(points, keep=0)[0] for name, points in groups.items()}
    known = dataset.library.points(rest)
    table = scores(groups, seen, dataset.seed)
    through = by_component(groups[IMAGES], seen[IMAGES], Components.fit(known).axes, dataset.seed)
    found = {name: cosines(points, seen[name]) for name, points in groups.items()}
    supported = Support.fit(known).score(Points.concat(list(groups.values())))
    foretelling = foretold(supported, np.concatenate(list(found.values())), dataset.seed)
    return Section(
        name="roundtrip",
        question=QUESTION,
        finding=_finding(table, through, foretelling),
        method=(
            f"{len(rows)} images drawn with seed {dataset.seed}, and fewer points of other "
            f"kinds, decoded from one noise in {decoder.steps} steps; intervals by bootstrap over "
            f"points. Principal components and support of {len(rest):,} other images."
        ),
        source=SOURCE,
        tables={
            "Round trips": table,
            "What comes through, by principal component": through,
            "Does support foretell the round trip?": foretelling,
            **_judged(dataset, rows),
        },
        figures={
            "Cosine of a point with what is seen in its decode": bars(
                table, "points", "cosine", interval=("low (95 %)", "high (95 %)")
            ),
            "What comes through, by principal component": lines(
                through, "component", "correlation", band=("low (95 %)", "high (95 %)")
            ),
            "Images, the best and the worst round trips": _extremes(
                dataset, rows, groups[IMAGES], found[IMAGES]
            ),
        },
    )


def _judged(dataset: Dataset, rows: Int[np.ndarray, " N"]) -> dict[str, "pd.DataFrame"]:
    """What the other library's encoder says, if there is one."""
    if dataset.other is None:
        return {}
    try:
        return {JUDGED: by_other(dataset, rows)}
    except ExplorerError as error:  # its model is not here: the rest is answered
        note(f"The other library's encoder does not judge the decodes: {error}")
        return {}


def _finding(table: "pd.DataFrame", through: "pd.DataFrame", foretelling: "pd.DataFrame") -> str:
    cosine = dict(zip(table["points"], table["cosine"], strict=True))
    others = ", ".join(f"{cosine[name]:.2f} for {name}" for name in cosine if name != IMAGES)
    first, last = through.iloc[0], through.iloc[-1]
    best = foretelling.iloc[int(foretelling["rank correlation"].argmax())]
    return (
        f"The mean cosine of a point with what is seen in its decode is {cosine[IMAGES]:.2f} for "
        f"images, {others}. Of images, components 1 to {first['last component']:.0f} come "
        f"through with a correlation of {first['correlation']:.2f}, {last['component']:.0f} to "
        f"{last['last component']:.0f} with {last['correlation']:.2f}. Of the measures of support, "
        f"{best['measure']} foretells the cosine best (rank correlation "
        f"{best['rank correlation']:.2f})."
    )


def _extremes(
    dataset: Dataset,
    rows: Int[np.ndarray, " N"],
    points: Points,
    found: Float[np.ndarray, " N"],
) -> Figure:
    """The images of the highest and the lowest cosines, each above its decode."""
    order, half = np.argsort(-found), min(SHOWN // 2, len(found) // 2)
    chosen = np.concatenate([order[:half], order[len(order) - half :]])
    decoded = dataset.require_decoder("The round trip").decode(points[chosen])
    labels = [
        f"{found[i]:.2f}: {name}"
        for i, name in zip(chosen, dataset.names(rows[chosen]), strict=True)
    ]
    images = [*dataset.images(rows[chosen]), *decoded]
    return strip(
        images, [""] * len(chosen) + labels, columns=len(chosen), names=["image", "decoded"]
    )
