"""Autoencoder: how much features that a library teaches by itself keep of its points, in words."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from analysis.vocabulary import Vocabulary
from explorer.features import Features
from explorer.features.learning import PARTS
from explorer.metrics import bootstrap
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

AMOUNTS = (0.0, 1.0, 2.0, 4.0)  # times what is usual of a feature


def named(features: Features, points: Points, vocabulary: Vocabulary) -> "pd.DataFrame":
    """Each feature's nearest word with their cosine, and in how many points it takes part.

    The first column is the place of the feature; the most used comes first.
    """
    import pandas as pd

    cosines = features.directions @ vocabulary.dictionary.T
    table = pd.DataFrame(
        {
            "feature": np.arange(len(features)),
            "word": np.array(vocabulary.words.labels)[cosines.argmax(1)],
            "cosine": cosines.max(1),
            "share of points": (features.of(points) > 0).mean(0),
        }
    )
    return table.sort_values("share of points", ascending=False, kind="stable")


def tables(
    points: Points, vocabulary: Vocabulary, seed: int = 0
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Train on nine points in ten. How much is kept of the others, and the features in words."""
    import pandas as pd

    held = np.zeros(len(points), dtype=bool)
    held[np.random.default_rng(seed).permutation(len(points))[::10]] = True
    learnt, others = Features.fit(points[~held], seed=seed), points[held]
    table = []
    for part in PARTS:
        first = round(part * len(learnt))
        kept = learnt.explained(others, first)
        active = (learnt.of(others)[:, :first] > 0).sum(1).mean()
        table.append((first, len(others), active, kept.mean(), *bootstrap(kept, seed=seed)))
    columns = ["first features", "n", "features an image", "cosine from the middle"]
    intervals = ["low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=columns + intervals), named(learnt, points, vocabulary)


def survival(
    see: Callable[[Points], Points], features: Features, points: Points, seed: int = 0
) -> "pd.DataFrame":
    """Turn one feature up in each point, and look for it in what is seen of the decode.

    A row an amount: the mean activation that was asked for and the one that is seen, each before
    it is cut to the most active; how often it rose since the amount before, and how often another
    feature did, which is chance; and the share of points in which it is among the most active.

    Args:
        see: decodes points, and encodes the images.
        points: of images, a feature is drawn for each.
    """
    import pandas as pd

    rng, n = np.random.default_rng(seed), len(points)
    alive = np.flatnonzero(features.usual > 0)
    chosen = rng.choice(alive, n)
    others = np.roll(chosen, 1)
    sets = [
        Points.concat([features.edit(points[i], {int(chosen[i]): t}) for i in range(n)])
        for t in AMOUNTS
    ]
    seen = [see(each) for each in sets]
    own, beside, active, asked = (
        np.stack(each)
        for each in (
            [_along(features, each, chosen) for each in seen],
            [_along(features, each, others) for each in seen],
            [features.of(each)[np.arange(n), chosen] > 0 for each in seen],
            [_along(features, each, chosen) for each in sets],
        )
    )
    table = []
    for i, amount in enumerate(AMOUNTS):
        rose = [float((x[i] > x[i - 1]).mean()) if i else np.nan for x in (own, beside)]
        table.append((amount, n, asked[i].mean(), own[i].mean(), *rose, active[i].mean()))
    columns = ["turned by", "n", "asked", "seen", "rose", "another rose", "active in the decode"]
    return pd.DataFrame(table, columns=columns)


def _along(features: Features, points: Points, which: np.ndarray) -> np.ndarray:
    """Cosine of each direction from the middle with one feature."""
    apart = points.unit - features.middle
    apart = apart / np.linalg.norm(apart, axis=1, keepdims=True)
    return np.asarray(np.einsum("nd,nd->n", apart, features.directions[which]))
