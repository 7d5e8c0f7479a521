"""Train an unCLIP decoder: a UNet that draws a picture from its point.

Takes pictures and their points, writes diffusers folders. It does not know
which CLIP the points come from.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.models.pocket import DRAFT, make_draft
from explorer.training.clip import row_weights, to_tensor
from explorer.training.data import Pictures
from explorer.training.runs import Run, autocast

if TYPE_CHECKING:
    import torch

PATCH = 4
BATCH = 32
DROP = 0.1  # how often the point is left out, for guidance
BLUR = 0.3  # most that a point is shifted, in deviations: the decoder must work between points
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "sample",
    "timestep_spacing": "trailing",
    "steps_offset": 0,
    "set_alpha_to_one": True,
    "clip_sample": True,
    "clip_sample_range": 1.0,
}


def unet(dimension: int, size: int) -> Any:
    """A fresh UNet for points of that dimension and pictures of size × size."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=size // PATCH,
        in_channels=2 * 3 * PATCH**2,  # the noisy picture and the draft
        out_channels=3 * PATCH**2,
        block_out_channels=(96, 192),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        class_embed_type="projection",
        projection_class_embeddings_input_dim=dimension,
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=32,
        cross_attention_dim=dimension,
    )


def statistics(points: Float[np.ndarray, "N D"]) -> Any:
    """Mean and deviation of training points, as Stable unCLIP keeps them."""
    import torch
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )

    normalizer = StableUnCLIPImageNormalizer(points.shape[1]).requires_grad_(False)
    normalizer.mean.copy_(torch.from_numpy(points.mean(0, keepdims=True)))
    normalizer.std.copy_(torch.from_numpy(points.std(0, keepdims=True)))
    return normalizer


def loss(
    network: Any,
    latents: "torch.Tensor",
    inputs: "tuple[torch.Tensor, torch.Tensor]",
    alphas: "torch.Tensor",
    device: str,
) -> "torch.Tensor":
    """Squared error of x_0 at random levels, counted 1 + min(SNR, 5) times.

    A narrow network can draw a patch of 48 numbers, but not also carry 48 of noise (v, ε), so it
    predicts the picture. Plain min-SNR would hardly count the noisiest levels, where the point
    alone decides.

    Args:
        inputs: standardised points (N D) and their drafts (N C h w).

    Source: Li & He 2025 (predict the picture); the bound, Hang et al. 2023 (min-SNR).
    """
    import torch

    z, draft = inputs
    t = torch.randint(0, len(alphas), (len(latents),), device=latents.device)
    alpha = alphas[t].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    with autocast(device):
        output = network(torch.cat([noisy, draft], 1), t, None, class_labels=z).sample
    snr = alpha / (1 - alpha)
    weight = 1 + snr.clamp(max=5)
    return (weight * (output.float() - latents).square()).mean()


def train_draft(
    pictures: Pictures,
    points: Float[np.ndarray, "N D"],
    work: Path,
    minutes: float,
    device: str,
) -> Any:
    """Train the network that draws a blurred picture straight from a point.

    Args:
        points: raw, one a picture (held-out rows are never drawn).
        minutes: the budget over all resumptions.
    """
    import torch
    from torch.nn.functional import pixel_unshuffle

    torch.manual_seed(0)
    normalizer = statistics(points[~pictures.held_out])
    standardised = normalizer.scale(torch.from_numpy(points)).to(device)
    draft = make_draft(points.shape[1], 3 * PATCH**2).to(device)
    run = Run(
        work, "draft", {"draft": draft}, minutes=minutes, rate=2e-3, decay=0.01, average=0.998
    )
    weights = row_weights(pictures)
    for step in run:
        rng = np.random.default_rng(step)
        torch.manual_seed(step)
        rows = rng.choice(len(pictures), 256, replace=False, p=weights)
        latents = pixel_unshuffle(to_tensor(pictures.pixels[rows], device), PATCH)
        z = standardised[torch.from_numpy(rows).to(device)]
        z = z + BLUR * torch.rand(len(z), 1, device=device) * torch.randn_like(z)
        with autocast(device):
            drawn = draft(z)
        run.update((drawn.float() - latents).square().mean())
    run.adopt_average()
    return draft.eval().requires_grad_(False)


def train(
    pictures: Pictures,
    points: Float[np.ndarray, "N D"],
    folder: Path,
    work: Path,
    minutes: tuple[float, float],
    device: str,
) -> None:
    """Write `unet/`, `draft/`, `image_normalizer/` and `scheduler/` into `folder`.

    Args:
        points: raw, one a picture (held-out rows are never drawn).
        minutes: the budgets of draft and UNet over all resumptions.
    """
    import torch
    from diffusers import DDIMScheduler
    from torch.nn.functional import pixel_unshuffle

    draft = train_draft(pictures, points, work, minutes[0], device)
    torch.manual_seed(0)
    normalizer = statistics(points[~pictures.held_out]).to(device)
    layout = torch.channels_last
    network = unet(points.shape[1], pictures.pixels.shape[1]).to(device, memory_format=layout)
    alphas = DDIMScheduler.from_config(SCHEDULER).alphas_cumprod.to(device)
    run = Run(
        work, "unet", {"unet": network}, minutes=minutes[1], rate=8e-4, decay=0.01, average=0.999
    )
    weights = row_weights(pictures)
    raw = torch.from_numpy(points).to(device)
    network.train()
    for step in run:
        rng = np.random.default_rng(step)
        torch.manual_seed(step)
        rows = rng.choice(len(pictures), BATCH, replace=False, p=weights)
        latents = pixel_unshuffle(to_tensor(pictures.pixels[rows], device), PATCH)
        z = blurred(raw[torch.from_numpy(rows).to(device)], normalizer)
        run.update(loss(network, latents, (z, draft(z)), alphas, device))
    run.adopt_average()
    save(network, draft, normalizer, folder)


def blurred(z: "torch.Tensor", normalizer: Any) -> "torch.Tensor":
    """Points as the network must cope with them: shifted a little, or left out; standardised."""
    import torch

    chance = torch.rand(2, len(z), 1, device=z.device)
    shifted = z + BLUR * chance[0] * normalizer.std * torch.randn_like(z)
    return normalizer.scale(shifted * (chance[1] >= DROP))


def save(network: Any, draft: Any, normalizer: Any, folder: Path) -> None:
    """Write the finished decoder as diffusers folders, in half precision."""
    import torch
    from safetensors.torch import save_file

    network.cpu().to(torch.float16, memory_format=torch.contiguous_format)
    network.save_pretrained(folder / "unet", safe_serialization=True)
    (folder / DRAFT).parent.mkdir(exist_ok=True)
    save_file({name: x.cpu().half() for name, x in draft.state_dict().items()}, folder / DRAFT)
    normalizer.cpu().save_pretrained(folder / "image_normalizer", safe_serialization=True)
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(SCHEDULER, indent=2) + "\n")
