"""Train a prior: from a caption's token states to a point on the image side.

Takes captions and the points of their pictures, writes a diffusers folder.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.models.pocket_prior import PRIOR_SCHEDULE, token_states
from explorer.training.captions import sample
from explorer.training.clip import row_weights
from explorer.training.data import Pictures
from explorer.training.runs import Run, autocast

if TYPE_CHECKING:
    import torch

BATCH = 256
DROP = 0.1


def transformer(points: Float[np.ndarray, "N D"], context: int) -> Any:
    """A fresh PriorTransformer that knows mean and deviation of the training points."""
    import torch
    from diffusers import PriorTransformer

    network: Any = PriorTransformer(
        num_attention_heads=6,
        attention_head_dim=32,
        num_layers=3,
        embedding_dim=points.shape[1],
        num_embeddings=context,
        additional_embeddings=4,
        dropout=0.0,
    )
    for parameter, value in (
        (network.clip_mean, points.mean(0)),
        (network.clip_std, points.std(0)),
    ):
        parameter.requires_grad_(False).copy_(torch.from_numpy(value[None]))
    return network


def train(
    pictures: Pictures,
    clip: Any,
    tokenizer: Any,
    points: Float[np.ndarray, "N D"],
    folder: Path,
    work: Path,
    minutes: float,
    device: str,
) -> None:
    """Write `prior/` into `folder`.

    Args:
        points: raw, one a picture (held-out rows are never drawn).
        minutes: the budget over all resumptions.

    Source: Ramesh et al. 2022, section 2.2 (predict the unnoised point, mean squared error).
    """
    import torch
    from diffusers import DDIMScheduler

    torch.manual_seed(0)
    clip = clip.to(device).eval()
    network = transformer(points[~pictures.held_out], tokenizer.context_length).to(device)
    mean, std = network.clip_mean, network.clip_std
    alphas = DDIMScheduler.from_config(PRIOR_SCHEDULE).alphas_cumprod.to(device)
    run = Run(
        work, "prior", {"prior": network}, minutes=minutes, rate=1e-3, decay=0.02, average=0.998
    )
    weights = row_weights(pictures)
    network.train()
    for step in run:
        rng = np.random.default_rng(step)
        torch.manual_seed(step)
        rows = rng.choice(len(pictures), BATCH, replace=False, p=weights)
        given = read(pictures, rows, clip, tokenizer, rng, device)
        z = (torch.from_numpy(points[rows]).to(device) - mean) / std
        run.update(loss(network, z, given, alphas, device))
    run.adopt_average()
    network.cpu().half().save_pretrained(folder / "prior", safe_serialization=True)


def loss(network: Any, z: "torch.Tensor", given: Any, alphas: "torch.Tensor", device: str) -> Any:
    """Squared error of the standardised point (N D), at random levels."""
    import torch

    t = torch.randint(0, len(alphas), (len(z),), device=device)
    alpha = alphas[t][:, None]
    noisy = alpha.sqrt() * z + (1 - alpha).sqrt() * torch.randn_like(z)
    with autocast(device):
        out = network(noisy, t, *given).predicted_image_embedding
    return (out.float() - z).square().mean()


def read(
    pictures: Pictures,
    rows: np.ndarray,
    clip: Any,
    tokenizer: Any,
    rng: np.random.Generator,
    device: str,
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """A caption for each row, or none, as the text tower sees it: point, token states, mask."""
    import torch

    texts = [sample(pictures.glyphs[i], pictures.styles[i], rng).text for i in rows]
    texts = [text if rng.random() >= DROP else "" for text in texts]
    present = torch.tensor([bool(text) for text in texts], device=device)[:, None]
    with torch.no_grad(), autocast(device):
        pooled, states, mask = token_states(clip, tokenizer(texts).to(device))
    return pooled * present, states, mask
