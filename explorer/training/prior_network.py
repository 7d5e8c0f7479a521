"""Train a prior: from a caption's token states to a point on the image side.

Takes captions and the points of their images, writes a diffusers folder.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.models.shared.token_prior import PRIOR, PRIOR_SCHEDULE, token_states
from explorer.training.checkpoints import write_tensors
from explorer.training.decoder_network import deviation
from explorer.training.examples import draw_rows
from explorer.training.loop import Interrupt, Plan, Run, autocast

if TYPE_CHECKING:
    import torch

    Read = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # points N D, states N L D, mask N L

BATCH = 256
DROP_SHARE = 0.1  # how often the caption is left out, for guidance
CACHED_CAPTIONS = 50_000
DEFAULTS = {"prior_steps": 25, "prior_guidance": 1.5}  # of a new prior


@dataclass(frozen=True, eq=False)
class Captioned:
    """Raw points of images, and a caption for any of them.

    Args:
        captions: for these rows; may draw one of several.
        weights: how often a row is drawn; they sum to one, and 0 is held out.
    """

    captions: Callable[[np.ndarray, np.random.Generator], Sequence[str]]
    points: Float[np.ndarray, "N D"]
    weights: Float[np.ndarray, " N"]


class Reader:
    """A text tower with a cache, so that each caption is encoded once."""

    def __init__(self, clip: Any, tokenizer: Any, device: str) -> None:
        self.clip, self.tokenizer, self.device = clip.to(device).eval(), tokenizer, device
        self._cache: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def __call__(self, texts: Sequence[str]) -> "Read":
        """Return points, token states and mask; states that do not count are zero."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        new = [text for text in dict.fromkeys(texts) if text not in self._cache]
        fresh = dict(zip(new, self._read(new), strict=True)) if new else {}
        if len(self._cache) < CACHED_CAPTIONS:
            self._cache |= fresh
        pairs = [fresh.get(text) or self._cache[text] for text in texts]
        lengths = torch.tensor([len(states) for _, states in pairs], device=self.device)
        states = pad_sequence([states for _, states in pairs], batch_first=True)
        length = self.tokenizer.context_length
        states = torch.nn.functional.pad(states, (0, 0, 0, length - states.shape[1]))
        mask = torch.arange(length, device=self.device) < lengths[:, None]
        return torch.stack([point for point, _ in pairs]), states.float(), mask

    def _read(self, texts: Sequence[str]) -> "list[tuple[torch.Tensor, torch.Tensor]]":
        """Return each text's point and, in half precision, the states that count."""
        import torch

        with torch.no_grad(), autocast(self.device):
            tokens = self.tokenizer(list(texts)).to(self.device)
            points, states, mask = token_states(self.clip, tokens)
        rows = zip(points, states.half(), mask, strict=True)
        return [(point, row[counts]) for point, row, counts in rows]


def transformer(points: Float[np.ndarray, "N D"], context: int) -> Any:
    """Return a fresh PriorTransformer with mean and deviation of the training points."""
    import torch
    from diffusers import PriorTransformer

    network: Any = PriorTransformer(
        num_attention_heads=max(6, points.shape[1] // 64),
        attention_head_dim=32,
        num_layers=3,
        embedding_dim=points.shape[1],
        num_embeddings=context,
        additional_embeddings=4,
        dropout=0.0,
    )
    for parameter, value in (
        (network.clip_mean, points.mean(0, keepdims=True)),
        (network.clip_std, deviation(points)),
    ):
        parameter.requires_grad_(False).copy_(torch.from_numpy(value))
    return network


def train(
    network: Any,
    read: Reader,
    images: Captioned,
    work: FilePath,
    plan: Plan,
    interrupt: Interrupt | None = None,
) -> Iterator[Run]:
    """Train the network that `transformer` returned; yield the run after every step.

    When the iterator ends, the network has its averaged weights.

    Args:
        work: the folder of the checkpoint, from which training resumes.

    Raises:
        TrainingError: a loss is not finite, or the disk refuses; the last checkpoint is good.

    Source: Ramesh et al. 2022, section 2.2 (predict the unnoised point, mean squared error).
    """
    import torch
    from diffusers import DDIMScheduler

    mean, std = network.clip_mean, network.clip_std
    alphas = DDIMScheduler.from_config(PRIOR_SCHEDULE).alphas_cumprod.to(plan.device)
    run = Run(
        work, "prior", {"prior": network}, minutes=plan.minutes, rate=1e-3 * plan.rate,
        decay=0.02, average=0.998, steps=plan.steps, interrupt=interrupt,
    )  # fmt: skip
    for step in run:
        rng = np.random.default_rng([plan.seed, step])
        torch.manual_seed(int(rng.integers(2**31)))
        rows = draw_rows(images.weights, plan.batch or BATCH, rng)
        texts = [text * (rng.random() >= DROP_SHARE) for text in images.captions(rows, rng)]
        points, states, mask = read(texts)
        present = torch.tensor([bool(text) for text in texts], device=plan.device)[:, None]
        z = (torch.from_numpy(images.points[rows]).to(plan.device) - mean) / std
        run.update(loss(network, z, (points * present, states, mask), alphas, plan.device))
        yield run
    run.adopt_average()


def loss(
    network: Any, z: "torch.Tensor", read: "Read", alphas: "torch.Tensor", device: str
) -> "torch.Tensor":
    """Return the squared error of the standardised point (N D), at random noise levels."""
    import torch

    t = torch.randint(0, len(alphas), (len(z),), device=device)
    alpha = alphas[t][:, None]
    noisy = alpha.sqrt() * z + (1 - alpha).sqrt() * torch.randn_like(z)
    with autocast(device):
        out = network(noisy, t, *read).predicted_image_embedding
    return (out.float() - z).square().mean()


def save(network: Any, folder: FilePath) -> None:
    """Write `prior/` into `folder`, in half precision."""
    network.save_config(folder / "prior")
    write_tensors(folder / PRIOR, {name: x.half() for name, x in network.state_dict().items()})
