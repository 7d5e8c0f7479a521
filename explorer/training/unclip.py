"""Train an unCLIP decoder: a UNet that draws a picture from its point.

Takes pictures and a function from pictures to points, writes diffusers folders. It does not know
which CLIP the points come from.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.models.pocket import run_unet
from explorer.training.clip import augment, row_weights, to_tensor
from explorer.training.data import Pictures
from explorer.training.runs import Run, autocast

if TYPE_CHECKING:
    import torch

PATCH = 4
LAYOUT = 8  # channels of the point laid out over the grid
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
        in_channels=3 * PATCH**2 + LAYOUT,
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
        encoder_hid_dim=dimension,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=LAYOUT * (size // PATCH) ** 2 // 32,  # it makes 32 tokens of this size
    )


def statistics(points: Float[np.ndarray, "N D"]) -> Any:
    """Mean and deviation of training points, as Stable unCLIP keeps them."""
    import torch
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    normalizer = StableUnCLIPImageNormalizer(points.shape[1]).requires_grad_(False)
    normalizer.mean.copy_(torch.from_numpy(points.mean(0, keepdims=True)))
    normalizer.std.copy_(torch.from_numpy(points.std(0, keepdims=True)))
    return normalizer


def loss(
    network: Any, latents: "torch.Tensor", z: "torch.Tensor", alphas: "torch.Tensor", device: str
) -> "torch.Tensor":
    """Squared error of x_0 at random levels, counted 1 + min(SNR, 5) times.

    A narrow network can draw a patch of 48 numbers, but not also carry 48 of noise (v, ε), so it
    predicts the picture. Plain min-SNR would hardly count the noisiest levels, where the point
    alone decides.

    Source: Li & He 2025 (predict the picture); the bound, Hang et al. 2023 (min-SNR).
    """
    import torch

    t = torch.randint(0, len(alphas), (len(latents),), device=latents.device)
    alpha = alphas[t].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    with autocast(device):
        output = run_unet(network, noisy, t, z)
    snr = alpha / (1 - alpha)
    weight = 1 + snr.clamp(max=5)
    return (weight * (output.float() - latents).square()).mean()


def train(
    pictures: Pictures,
    encode: "Callable[[torch.Tensor], torch.Tensor]",
    points: Float[np.ndarray, "N D"],
    folder: Path,
    work: Path,
    minutes: float,
    device: str,
) -> None:
    """Write `unet/`, `image_normalizer/` and `scheduler/` into `folder`.

    Args:
        encode: pixels (N 3 H W in [-1, 1]) to raw points (N D).
        points: of the training pictures, for their statistics.
        minutes: the budget over all resumptions.
    """
    import torch
    from diffusers import DDIMScheduler
    from torch.nn.functional import pixel_unshuffle

    torch.manual_seed(0)
    normalizer = statistics(points).to(device)
    layout = torch.channels_last
    network = unet(points.shape[1], pictures.pixels.shape[1]).to(device, memory_format=layout)
    alphas = DDIMScheduler.from_config(SCHEDULER).alphas_cumprod.to(device)
    run = Run(
        work, "unet", {"unet": network}, minutes=minutes, rate=8e-4, decay=0.01, average=0.999
    )
    weights = row_weights(pictures)
    network.train()
    for step in run:
        rng = np.random.default_rng(step)
        torch.manual_seed(step)
        rows = rng.choice(len(pictures), BATCH, replace=False, p=weights)
        pixels = to_tensor(pictures.pixels[rows], device)
        half = BATCH // 2
        pixels = torch.cat([pixels[:half], augment(pixels[half:], rng)])
        with torch.no_grad(), autocast(device):
            z = encode(pixels).float()
        blur = BLUR * torch.rand(BATCH, 1, device=device) * normalizer.std
        z = z + blur * torch.randn_like(z)
        z = normalizer.scale(z * (torch.rand(BATCH, 1, device=device) >= DROP))
        latents = pixel_unshuffle(pixels, PATCH).contiguous(memory_format=layout)
        run.update(loss(network, latents, z, alphas, device))
    run.adopt_average()
    save(network, normalizer, folder)


def save(network: Any, normalizer: Any, folder: Path) -> None:
    """Write the finished decoder as diffusers folders, in half precision."""
    import torch

    network.cpu().to(torch.float16, memory_format=torch.contiguous_format)
    network.save_pretrained(folder / "unet", safe_serialization=True)
    normalizer.cpu().save_pretrained(folder / "image_normalizer", safe_serialization=True)
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(SCHEDULER, indent=2) + "\n")
