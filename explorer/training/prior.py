"""Train a prior: from a caption's token states to a point on the image side.

Takes captions and the points of their pictures, writes a diffusers folder.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from explorer.models.pocket import PRIOR_SCHEDULE, token_states
from explorer.training.captions import sample
from explorer.training.clip import row_weights
from explorer.training.data import Pictures
from explorer.training.runs import Run, autocast

BATCH = 256
DROP = 0.1


def transformer(dimension: int, context: int) -> Any:
    """A fresh PriorTransformer."""
    from diffusers import PriorTransformer

    return PriorTransformer(
        num_attention_heads=6,
        attention_head_dim=32,
        num_layers=5,
        embedding_dim=dimension,
        num_embeddings=context,
        additional_embeddings=4,
        dropout=0.0,
    )


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
    network = transformer(points.shape[1], tokenizer.context_length).to(device)
    training = points[~pictures.held_out]
    mean, std = (torch.from_numpy(x[None]).to(device) for x in (training.mean(0), training.std(0)))
    network.clip_mean.data.copy_(mean)
    network.clip_std.data.copy_(std)
    network.clip_mean.requires_grad_(False)
    network.clip_std.requires_grad_(False)
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
        texts = [sample(pictures.glyphs[i], pictures.styles[i], rng).text for i in rows]
        texts = [text if rng.random() >= DROP else "" for text in texts]
        present = torch.tensor([bool(text) for text in texts], device=device)[:, None]
        with torch.no_grad(), autocast(device):
            pooled, states, mask = token_states(clip, tokenizer(texts).to(device))
        z = (torch.from_numpy(points[rows]).to(device) - mean) / std
        t = torch.randint(0, len(alphas), (BATCH,), device=device)
        alpha = alphas[t][:, None]
        noisy = alpha.sqrt() * z + (1 - alpha).sqrt() * torch.randn_like(z)
        with autocast(device):
            out = network(noisy, t, pooled * present, states, mask).predicted_image_embedding
        run.update((out.float() - z).square().mean())
    run.adopt_average()
    network.cpu().half().save_pretrained(folder / "prior", safe_serialization=True)
