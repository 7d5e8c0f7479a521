"""How features are learnt: a sparse autoencoder of unit directions."""

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import torch

BATCH = 256
PARTS = (0.125, 0.25, 0.5, 1)  # of the features: each first part learns to do alone
RATE = 2e-3  # of Adam
ROUND = 50  # steps, after which a feature that was never active in them is replaced
T = TypeVar("T")
LEARNING = 0.75  # of the steps; later ones replace none


def exhausted(work: Generator[object, None, T]) -> T:
    """Run a generator to its end, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def training(
    rows: Float[np.ndarray, "N D"], count: int, active: int, steps: int, seed: int
) -> Generator[None, None, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Train, yielding after every 50 steps; return what is read off, what is added, directions.

    A feature that is no longer active starts again from what the others leave of some direction
    (Bricken et al. 2023), so that few are dead in the end.
    """
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
    used = torch.zeros(count, dtype=torch.bool)
    for step in range(1, steps + 1):
        batch = data[torch.randint(len(data), (BATCH,), generator=generator)]
        highest = (batch @ reading + offset).relu().topk(active)
        weights = torch.zeros(len(batch), count).scatter(1, highest.indices, highest.values)
        units = normalize(features)
        loss = _loss(batch, weights, units, sizes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        used |= (weights > 0).any(0)
        if step % ROUND == 0 and step <= LEARNING * steps:
            _revive(optimizer, ~used, (batch - weights @ units).detach(), generator)
            used[:] = False
        if step % ROUND == 0:
            yield
    learnt = (reading, offset, normalize(features))
    read, added, directions = (np.ascontiguousarray(part.detach().numpy()) for part in learnt)
    return read, added, directions


def _revive(
    optimizer: "torch.optim.Adam",
    dead: "torch.Tensor",
    left: "torch.Tensor",
    generator: "torch.Generator",
) -> None:
    """Let dead features lead where much is left of a direction, and forget their gradients."""
    import torch
    from torch.nn.functional import normalize

    places = torch.where(dead)[0][: len(left)]
    if not len(places):
        return
    drawn = torch.multinomial((left**2).sum(1) + 1e-12, len(places), generator=generator)
    features, reading, offset = optimizer.param_groups[0]["params"]
    leads = normalize(left[drawn])
    with torch.no_grad():
        for array, new in ((features, leads), (reading.T, leads.clone()), (offset, 0.0)):
            array[places] = new
        for array in (features, reading, offset):
            for moment in ("exp_avg", "exp_avg_sq"):
                known = optimizer.state[array][moment]
                (known.T if array is reading else known)[places] = 0.0


def _loss(
    batch: "torch.Tensor", weights: "torch.Tensor", features: "torch.Tensor", sizes: Sequence[int]
) -> "torch.Tensor":
    """The mean squared distance to what the first features make, over all the sizes."""
    import torch

    made = [weights[:, :size] @ features[:size] for size in sizes]
    return torch.stack([((batch - each) ** 2).sum(1).mean() for each in made]).mean()
