"""Autoencoder: features that a library teaches by itself, each a direction, few of them in a point.

Trained on the points of one library, in torch, in seconds; used in numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from analysis.sparse import unit
from analysis.vocabulary import Vocabulary
from explorer.metrics import bootstrap
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd
    import torch

BATCH = 256
PARTS = (0.125, 0.25, 0.5, 1)  # of the features: each first part learns to do alone
RATE = 2e-3  # of Adam


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """A sparse autoencoder of directions; made by `train`.

    Args:
        middle: the mean direction, taken away first.
        reading: what is read off a direction for each feature.
        offset: added to it.
        features: the unit direction of each; the first of them matter most.
        active: the maximum number of features that are not 0 in a point.
    """

    middle: Float[np.ndarray, " D"]
    reading: Float[np.ndarray, "D F"]
    offset: Float[np.ndarray, " F"]
    features: Float[np.ndarray, "F D"]
    active: int

    def weigh(self, points: Points) -> Float[np.ndarray, "N F"]:
        """How much of each feature is in each point: the highest `active` above 0, others 0."""
        weights = np.maximum(_apart(points, self.middle) @ self.reading + self.offset, 0)
        least = np.partition(weights, -self.active, axis=1)[:, -self.active, None]
        return np.where(weights >= least, weights, 0)

    def explained(self, points: Points, first: int | None = None) -> Float[np.ndarray, " N"]:
        """Cosine of each direction from the middle with what the features make of it.

        Args:
            first: use only this number of features, from the first; None uses all.
        """
        made = self.weigh(points)[:, :first] @ self.features[:first]
        lengths = np.maximum(np.linalg.norm(made, axis=1), 1e-12)
        return np.einsum("nd,nd->n", made, _apart(points, self.middle)) / lengths

    def named(self, points: Points, vocabulary: Vocabulary) -> "pd.DataFrame":
        """Each feature's nearest word with their cosine, and in how many points it takes part.

        The first column is the place of the feature; the most used comes first.
        """
        import pandas as pd

        cosines = self.features @ vocabulary.dictionary.T
        table = pd.DataFrame(
            {
                "feature": np.arange(len(self.features)),
                "word": np.array(vocabulary.words.labels)[cosines.argmax(1)],
                "cosine": cosines.max(1),
                "share of points": (self.weigh(points) > 0).mean(0),
            }
        )
        return table.sort_values("share of points", ascending=False, kind="stable")


def train(
    points: Points,
    count: int = 256,
    active: int = 8,
    steps: int = 400,
    seed: int = 0,
) -> Autoencoder:
    """Learn `count` features such that the `active` highest of a point sum up to its direction.

    The first 1/8, 1/4 and 1/2 of the features learn to do so by themselves too, so that the first
    ones are the coarsest.

    Source: Makhzani & Frey 2014 (k-sparse); Gao et al. 2024 (Top-k at scale); Bussmann et al.
    2025 (Matryoshka).
    """
    import torch

    middle = points.unit.mean(0)
    rows = torch.from_numpy(_apart(points, middle))
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, rows.shape[1], generator=generator)
    features = torch.nn.functional.normalize(features).requires_grad_()
    reading = features.detach().T.clone().requires_grad_()
    offset = torch.zeros(count, requires_grad=True)
    optimizer = torch.optim.Adam([features, reading, offset], RATE)
    sizes = [round(part * count) for part in PARTS]
    for _ in range(steps):
        batch = rows[torch.randint(len(rows), (BATCH,), generator=generator)]
        normed = torch.nn.functional.normalize(features)
        highest = (batch @ reading + offset).relu().topk(active)
        weights = torch.zeros(len(batch), count).scatter(1, highest.indices, highest.values)
        loss = _loss(batch, weights, normed, sizes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learnt = torch.nn.functional.normalize(features)
    read, added, kept = (part.detach().numpy() for part in (reading, offset, learnt))
    return Autoencoder(middle, read, added, kept, active)


def tables(
    points: Points, vocabulary: Vocabulary, seed: int = 0
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Train on nine points in ten. How much is kept of the others, and the features in words."""
    import pandas as pd

    held = np.zeros(len(points), dtype=bool)
    held[np.random.default_rng(seed).permutation(len(points))[::10]] = True
    learnt, others = train(points[~held], seed=seed), points[held]
    table = []
    for part in PARTS:
        first = round(part * len(learnt.features))
        kept = learnt.explained(others, first)
        active = (learnt.weigh(others)[:, :first] > 0).sum(1).mean()
        table.append((first, len(others), active, kept.mean(), *bootstrap(kept, seed=seed)))
    columns = ["first features", "n", "features an image", "cosine from the middle"]
    intervals = ["low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=columns + intervals), learnt.named(points, vocabulary)


def _loss(
    batch: "torch.Tensor", weights: "torch.Tensor", features: "torch.Tensor", sizes: Sequence[int]
) -> "torch.Tensor":
    """The mean squared distance to what the first features make, over all the sizes."""
    import torch

    made = [weights[:, :size] @ features[:size] for size in sizes]
    return torch.stack([((batch - each) ** 2).sum(1).mean() for each in made]).mean()


def _apart(points: Points, middle: Float[np.ndarray, " D"]) -> Float[np.ndarray, "N D"]:
    return unit(points.unit - middle)
