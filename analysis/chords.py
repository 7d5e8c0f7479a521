"""Chords: the straight way between two points against the great circle, for `directions`."""

from typing import TYPE_CHECKING

import numpy as np

from analysis.dataset import Dataset
from explorer.geometry import angle, slerp
from explorer.metrics import bootstrap, cosines
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

STEPS = 9


def chord(a: Points, b: Points, t: float) -> Points:
    """Go straight from a to b: raw vectors are mixed, so that the length sags between."""
    return a.with_vectors((1 - t) * a.vectors + t * b.vectors)


def chord_and_arc(a: Points, b: Points, steps: int = STEPS) -> "pd.DataFrame":
    """How the straight way differs from the great circle: it lags in angle, and its points are
    shorter: at the middle of two unit vectors at θ by cos(θ/2).
    """
    import pandas as pd

    table = []
    for t in np.linspace(0, 1, steps):
        straight, round_ = chord(a, b, float(t)), slerp(a, b, float(t))
        apart = np.degrees(angle(straight, round_))
        lengths = straight.norms / round_.norms
        table.append((t, apart.mean(), lengths.mean(), lengths.min()))
    columns = ["t", "angle between the two (°)", "length, arc = 1", "shortest, arc = 1"]
    return pd.DataFrame(table, columns=columns)


def halfway(dataset: Dataset, a: Points, b: Points) -> "pd.DataFrame":
    """How well a decoder keeps the points halfway between a and b, straight and on the arc.

    `round trip` is the mean cosine of what is seen in a decode with its point; the last two
    columns are the interval of its advantage over the other way, by bootstrap over pairs.

    Raises:
        Absent: the model has no decoder.
    """
    import pandas as pd

    ways = {"chord": chord(a, b, 0.5), "arc": slerp(a, b, 0.5)}
    kept = {name: cosines(dataset.seen(points)[0], points) for name, points in ways.items()}
    gain = kept["arc"] - kept["chord"]
    table = [
        (name, len(a), points.norms.mean(), kept[name].mean()) for name, points in ways.items()
    ]
    ends = [bootstrap(sign * gain, seed=dataset.seed) for sign in (-1, 1)]
    columns = ["way", "n", "length", "round trip (cosine)"]
    low, high = zip(*ends, strict=True)
    return pd.DataFrame(table, columns=columns).assign(
        **{"better by, low (95 %)": low, "better by, high (95 %)": high}
    )


def tables(dataset: Dataset, a: Points, b: Points) -> "dict[str, pd.DataFrame]":
    """Return the tables of a section: on the points, and, with a decoder, on decodes halfway."""
    told = {"Chord against arc": chord_and_arc(a, b)}
    if dataset.model.decoder is not None:
        told["Chord against arc, decoded halfway"] = halfway(dataset, a, b)
    return told
