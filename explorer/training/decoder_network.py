"""Train an unCLIP decoder: a UNet that decodes a point into its image.

Takes images and their points, writes diffusers folders. It does not know which CLIP the points
come from.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.files import make_folder, write_file
from explorer.models.shared.patch_decoder import (
    CORRECTED,
    DRAFT,
    GRID,
    NORMALIZER,
    UNET,
    make_draft,
)
from explorer.training import draft as draft_losses
from explorer.training.checkpoints import write_tensors
from explorer.training.draft import Looks
from explorer.training.examples import Examples
from explorer.training.loop import Interrupt, Plan, Run, autocast
from explorer.training.noise_schedule import SCHEDULER, schedule_of_tokens

if TYPE_CHECKING:
    import torch

WIDTHS = (96, 192)  # channels at the UNet's two resolutions
BATCH = 32
DRAFT_BATCH = {"plain": 256, "painter": 32}
DRAFT_RATE = {"plain": 2e-3, "painter": 1.5e-3}
DRAFT_SHARE = {"plain": 0.2, "painter": 0.5}  # of the minutes
DROP_SHARE = 0.1  # how often the point is left out, for guidance
DRAFT_DROP_SHARE = 0.03  # the same of the draft, which else says anything where there is no point
MAX_SHIFT = 0.3  # of a point, in deviations: the decoder must work between points
DEFAULTS = {"steps": 8, "guidance": 1.5, "solver": "dpm"}  # of a new decoder
STEPS_OF_TOKENS = 25


@dataclass(frozen=True, eq=False)
class Networks:
    """The parts of a decoder: a UNet, the draft it is given, the statistics of points, a schedule.

    Args:
        kind: of the draft; see `make_draft`.
        looks: what the draft's images are held against, beside pixels; None: the squared error.
        scheduler: the config of the noise schedule.
    """

    unet: Any
    draft: Any
    normalizer: Any
    kind: str = "plain"
    looks: Looks | None = None
    scheduler: dict[str, Any] = field(default_factory=lambda: SCHEDULER)

    @classmethod
    def fresh(
        cls,
        examples: Examples,
        plan: Plan,
        widths: tuple[int, int] | None = None,
        kind: str = "plain",
        looks: Looks | None = None,
    ) -> "Networks":
        """Return untrained networks with mean and deviation of the training points."""
        import torch

        torch.manual_seed(plan.seed)
        shape, dimension = examples.latent_shape, examples.points.shape[1]
        channels = shape[0]
        usual = widths_of(channels) if examples.codec else WIDTHS
        network: Any = unet(dimension, channels, widths or usual)
        draft: Any = make_draft(dimension, channels, kind)
        if kind in CORRECTED:
            torch.nn.init.zeros_(network.conv_out.weight)
            torch.nn.init.zeros_(network.conv_out.bias)
        return cls(
            network.to(plan.device, memory_format=torch.channels_last),
            draft.to(plan.device, memory_format=torch.channels_last),
            statistics(examples.points[examples.weights > 0]).to(plan.device),
            kind,
            looks,
            schedule_of_tokens(shape) if examples.codec else SCHEDULER,
        )

    def save(self, folder: FilePath) -> None:
        """Write `unet/`, `draft/`, `image_normalizer/` and `scheduler/`, in half precision."""
        half = {name: x.half() for name, x in self.unet.state_dict().items()}
        self.unet.save_config(folder / "unet")
        write_tensors(folder / UNET, half)
        write_tensors(folder / DRAFT, {k: x.half() for k, x in self.draft.state_dict().items()})
        self.normalizer.save_config(folder / "image_normalizer")
        write_tensors(folder / NORMALIZER, self.normalizer.state_dict())
        make_folder(folder / "scheduler")
        config = json.dumps(self.scheduler, indent=2) + "\n"
        write_file(folder / "scheduler/scheduler_config.json", config.encode())


def widths_of(channels: int) -> tuple[int, int]:
    """Return the channels at the UNet's two resolutions for tokens: no fewer than these have.

    Source: Zheng et al. 2025 (RAE), section 4.1: a narrower network cannot tell noise from tokens.

    >>> widths_of(128), widths_of(768)
    ((128, 192), (768, 768))
    """
    return max(WIDTHS[0], channels), max(WIDTHS[1], channels)


def unet(dimension: int, channels: int, widths: tuple[int, int]) -> Any:
    """Return a fresh UNet for points of this dimension and latents with these channels."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=GRID,
        in_channels=2 * channels,  # the noisy image and the draft
        out_channels=channels,
        block_out_channels=widths,
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
    """Return mean and deviation of training points, in the form of Stable unCLIP."""
    import torch
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )

    normalizer = StableUnCLIPImageNormalizer(points.shape[1]).requires_grad_(False)
    normalizer.mean.copy_(torch.from_numpy(points.mean(0, keepdims=True)))
    normalizer.std.copy_(torch.from_numpy(deviation(points)))
    return normalizer


def deviation(points: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "1 D"]:
    """Return the deviation in each dimension, none so small that dividing by it amplifies noise."""
    spread = points.std(0, keepdims=True)
    return np.maximum(spread, 0.01 * spread.mean())


def train(
    examples: Examples,
    networks: Networks,
    work: FilePath,
    plan: Plan,
    interrupt: Interrupt | None = None,
) -> Iterator[Run]:
    """Train the draft, then the UNet; yield the run after every step.

    When the iterator ends, the networks have their averaged weights.

    Args:
        work: the folder of the checkpoints, from which training resumes.

    Raises:
        TrainingError: a loss is not finite, or the disk refuses; the last checkpoint is good.
    """
    yield from _train_draft(examples, networks, work, plan, interrupt)
    if not (interrupt and interrupt.asked):
        yield from _train_unet(examples, networks, work, plan, interrupt)


def _train_draft(
    examples: Examples, networks: Networks, work: FilePath, plan: Plan, interrupt: Interrupt | None
) -> Iterator[Run]:
    import torch
    from torch.nn.functional import pixel_shuffle

    # tokens are computed anew for each step
    count = BATCH if examples.codec else DRAFT_BATCH[networks.kind]
    run = Run(
        work, "draft", {"draft": networks.draft},
        minutes=DRAFT_SHARE[networks.kind] * plan.minutes,
        rate=DRAFT_RATE[networks.kind] * plan.rate, decay=0.01, average=0.998,
        steps=plan.steps, interrupt=interrupt,
    )  # fmt: skip
    patch = examples.pixels.shape[1] // GRID
    for step in run:
        latents, z = examples.draw(plan.batch or count, step, plan)
        z = networks.normalizer.scale(z)
        z = z + MAX_SHIFT * torch.rand(len(z), 1, device=z.device) * torch.randn_like(z)
        kept = torch.rand(len(z), 1, device=z.device) >= DRAFT_DROP_SHARE
        z = torch.where(kept, z, networks.normalizer.scale(torch.zeros_like(z)))
        with autocast(plan.device):
            drafts = networks.draft(z)
            if networks.looks is None:
                wrong = (drafts.float() - latents).square().mean()
            else:
                made, wanted = (
                    pixel_shuffle(x, patch).contiguous(memory_format=torch.channels_last)
                    for x in (drafts.float(), latents)
                )
                wrong = draft_losses.loss(made, wanted, networks.looks)
        run.update(wrong)
        yield run
    run.adopt_average()


def _train_unet(
    examples: Examples, networks: Networks, work: FilePath, plan: Plan, interrupt: Interrupt | None
) -> Iterator[Run]:
    import torch
    from diffusers import DDIMScheduler

    alphas = DDIMScheduler.from_config(networks.scheduler).alphas_cumprod.to(plan.device)
    run = Run(
        work, "unet", {"unet": networks.unet},
        minutes=(1 - DRAFT_SHARE[networks.kind]) * plan.minutes,
        rate=8e-4 * plan.rate, decay=0.01, average=0.999, steps=plan.steps, interrupt=interrupt,
    )  # fmt: skip
    for step in run:
        latents, z = examples.draw(plan.batch or BATCH, step, plan)
        z = perturbed(z, networks.normalizer)
        with torch.no_grad():
            draft = networks.draft(z)
        base = draft if networks.kind in CORRECTED else torch.zeros_like(draft)
        velocity = networks.scheduler["prediction_type"] == "v_prediction"
        inputs = (z, draft, base)
        run.update(loss(networks.unet, latents, inputs, alphas, plan.device, velocity=velocity))
        yield run
    run.adopt_average()


def loss(
    network: Any,
    latents: "torch.Tensor",
    inputs: "tuple[torch.Tensor, torch.Tensor, torch.Tensor]",
    alphas: "torch.Tensor",
    device: str,
    *,
    velocity: bool = False,
) -> "torch.Tensor":
    """Return the squared error of x_0 at random levels, weighted by 1 + min(SNR, 5).

    A narrow network can predict a patch of 48 numbers, but not also 48 of noise (v, ε), so it
    predicts the image. Plain min-SNR would hardly count the noisiest levels, where the point
    alone decides.

    Args:
        inputs: standardised points (N D), their drafts (N C h w), and what the output is added to.
        velocity: the network predicts v, as wide ones can; x_0 follows from it.

    Source: Li & He 2025 (predict the image); the bound, Hang et al. 2023 (min-SNR).
    """
    import torch

    z, draft, base = inputs
    t = torch.randint(0, len(alphas), (len(latents),), device=latents.device)
    alpha = alphas[t].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    with autocast(device):
        output = network(torch.cat([noisy, draft], 1), t, None, class_labels=z).sample
    estimate = output.float()
    if velocity:
        estimate = alpha.sqrt() * noisy - (1 - alpha).sqrt() * estimate
    snr = alpha / (1 - alpha)
    weight = 1 + snr.clamp(max=5)
    return (weight * (estimate + base - latents).square()).mean()


def perturbed(z: "torch.Tensor", normalizer: Any) -> "torch.Tensor":
    """Return points shifted a little, some of them left out, all of them standardised."""
    import torch

    chance = torch.rand(2, len(z), 1, device=z.device)
    shifted = z + MAX_SHIFT * chance[0] * normalizer.std * torch.randn_like(z)
    return normalizer.scale(shifted * (chance[1] >= DROP_SHARE))
