"""How features are learnt: a sparse autoencoder of unit directions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import torch

BATCH = 256
PARTS = (0.125, 0.25, 0.5, 1)  # of the features: each first part learns to do alone
RATE = 2e-3  # of Adam


def learn(
    rows: Float[np.ndarray, "N D"], count: int, active: int, steps: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train; return what is read off a direction, what is added, and the unit directions."""
    import torch
    from torch.nn.functional import normalize

    data = torch.from_numpy(rows)
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, data.shape[1], generator=generator)
    features = normalize(features).requires_grad_()
    reading = features.detach().T.clone().requires_grad_()
    offset = torch.zeros(count, requires_grad=True)
    optimizer = torch.optim.Adam([features, reading, offset], RATE)
    sizes = [round(part * count) for part in PARTS]
    for _ in range(steps):
        batch = data[torch.randint(len(data), (BATCH,), generator=generator)]
        highest = (batch @ reading + offset).relu().topk(active)
        weights = torch.zeros(len(batch), count).scatter(1, highest.indices, highest.values)
        loss = _loss(batch, weights, normalize(features), sizes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learnt = (reading, offset, normalize(features))
    read, added, directions = (np.ascontiguousarray(part.detach().numpy()) for part in learnt)
    return read, added, directions


def _loss(
    batch: "torch.Tensor", weights: "torch.Tensor", features: "torch.Tensor", sizes: Sequence[int]
) -> "torch.Tensor":
    """The mean squared distance to what the first features make, over all the sizes."""
    import torch

    made = [weights[:, :size] @ features[:size] for size in sizes]
    return torch.stack([((batch - each) ** 2).sum(1).mean() for each in made]).mean()
