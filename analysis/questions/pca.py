"""PCA: what is decoded when a point keeps only some of its principal components.

The paper's ladder: the same points from more and more components, decoded from one noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from analysis.dataset import Dataset
from analysis.figures import lines, strip
from analysis.point_sets import split
from analysis.section import Section
from explorer.errors import QueryError
from explorer.metrics import bootstrap, cosines, fewest, leading_axes
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "What is decoded when a point keeps only its first principal components?"
SOURCE = "Ramesh et al. 2022, section 4 and figure 7"
LADDER = (5, 10, 20, 30, 40, 80, 120, 160, 200, 320)  # the paper's starts at 20
SHOWN = 6  # images of the strip
TRIP = "round trip (mean cosine)"


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of raw vectors: their mean, and axes with the widest first (D × K)."""

    mean: Float[np.ndarray, " D"]
    axes: Float[np.ndarray, "D K"]

    @classmethod
    def fit(cls, points: Points) -> Self:
        """Find as many components as the points can have: D, or fewer than there are points.

        Raises:
            QueryError: fewer than 2 points.
        """
        if len(points) < 2:
            raise QueryError("Principal components need 2 points or more to be found in.")
        rows = points.vectors.astype(np.float64)
        most = min(points.space.dimension, len(points) - 1)
        return cls(rows.mean(0), leading_axes(rows, most))

    def keep(self, points: Points, count: int) -> Points:
        """Reconstruct points from their first `count` components; the others become the mean's.

        >>> from explorer.points import Space
        >>> cloud = Points(np.array([[1.0, 5], [3, 5], [2, 6], [2, 4], [9, 5]]),
        ...     Space("plane", 2, "0f"), "image")
        >>> Components.fit(cloud).keep(cloud[2], 1).vectors.round(3).tolist()
        [[2.0, 5.0]]
        """
        axes = self.axes[:, :count]
        return points.with_vectors(self.mean + (points.vectors - self.mean) @ axes @ axes.T)

    def kept(self, points: Points, count: int) -> float:
        """The share of the points' squared distance from the mean that `count` components keep."""
        centred = points.vectors - self.mean
        return float(((centred @ self.axes[:, :count]) ** 2).sum() / (centred**2).sum())

    def rungs(self, ladder: Sequence[int] = LADDER) -> list[int]:
        """As much of a ladder as there are components for, and all of them last."""
        most = self.axes.shape[1]
        return [*(rung for rung in ladder if rung < most), most]


def variance(components: Components, points: Points) -> "pd.DataFrame":
    """For each rung: the share of variance kept, and the mean cosine with the whole points."""
    import pandas as pd

    table = []
    for rung in components.rungs():
        near = cosines(components.keep(points, rung), points).mean()
        table.append((rung, components.kept(points, rung), near))
    return pd.DataFrame(table, columns=["components", "variance kept", "cosine with the point"])


def climb(
    dataset: Dataset, components: Components, points: Points
) -> tuple["pd.DataFrame", Figure]:
    """Decode every rung from one noise: the round trip to the whole points, and a strip.

    Columns beside the rung: the mean cosine of what is seen with the whole point, and its bootstrap
    interval over points.
    """
    import pandas as pd

    table, images, rungs = [], [], components.rungs()
    for rung in rungs:
        seen, shown = dataset.seen(components.keep(points, rung), keep=SHOWN)
        found = cosines(seen, points)
        table.append((rung, len(points), found.mean(), *bootstrap(found, seed=dataset.seed)))
        images.append(shown)
    rows = [image for shown in zip(*images, strict=True) for image in shown]
    labels = [""] * (len(rows) - len(rungs)) + [str(rung) for rung in rungs]
    columns = ["components", "n", TRIP, "low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=columns), strip(rows, labels, columns=len(rungs))


def section(dataset: Dataset) -> Section:
    """Answer it for images that the components were not found in."""
    rows, rest = split(dataset, dataset.count)
    if not len(rows):
        raise QueryError(f"The ladder needs 3 images or more, not {len(rest)}.")
    components = Components.fit(dataset.library.points(rest))
    points = dataset.library.points(rows)
    table = variance(components, points)
    most = fewest(dict(zip(table["components"], table["variance kept"], strict=True)), 1, 0.1)
    tables, figures, told = _decoded(dataset, components, points)
    return Section(
        name="pca",
        question=QUESTION,
        finding=(
            f"{most or 'Not even all'} of {components.axes.shape[1]} components keep 90 % of the "
            f"variance of images that they were not found in. {told}"
        ),
        method=(
            f"Components of {len(rest):,} images, drawn with seed {dataset.seed}, on raw "
            f"vectors; variance of {len(rows)} others, some of them decoded, all from one noise; "
            "intervals by bootstrap over images."
        ),
        source=SOURCE,
        tables={"Variance kept": table, **tables},
        figures={"Variance kept by rung": lines(table, "components", "variance kept"), **figures},
    )


def _decoded(
    dataset: Dataset, components: Components, points: Points
) -> tuple[dict[str, "pd.DataFrame"], dict[str, Figure], str]:
    """What the decoder makes of the ladder, if there is one; altogether about `count` decodes."""
    if dataset.model.decoder is None:
        return {}, {}, f"{dataset.model.name} has no decoder that would show them."
    some = points[: max(2, dataset.count // len(components.rungs()))]
    trips, ladder = climb(dataset, components, some)
    figures = {
        "Round trip by rung": lines(trips, "components", TRIP, band=("low (95 %)", "high (95 %)")),
        "One image a row, from more and more components": ladder,
    }
    return {"Round trip by rung": trips}, figures, _climbed(trips)


def _climbed(trips: "pd.DataFrame") -> str:
    scores = dict(zip(trips["components"], trips[TRIP], strict=True))
    first, last = trips.iloc[0], trips.iloc[-1]
    enough = fewest(scores, last[TRIP], within=0.05)
    return (
        f"Decoded, {first['components']:.0f} reach a round trip of {first[TRIP]:.2f}, all "
        f"{last['components']:.0f} of {last[TRIP]:.2f}; {enough} come within 5 % of that."
    )
