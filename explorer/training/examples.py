"""What a decoder learns from: images with their points, drawn batch by batch as latents."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from explorer.models.shared.patch_decoder import Codec, PatchCodec
from explorer.training.loop import Plan, autocast

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Examples:
    """Images with their raw points, and how often each is drawn.

    Args:
        weights: sum to one; 0 is an image that is held out.
        codec: on the device of training; None: patches of pixels.
    """

    pixels: UInt8[np.ndarray, "N H W C"]
    points: Float[np.ndarray, "N D"]
    weights: Float[np.ndarray, " N"]
    codec: Codec | None = None

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """The shape C h w of a latent."""
        return (self.codec or PatchCodec(self.pixels.shape[1])).latent_shape

    def draw(self, count: int, step: int, plan: Plan) -> "tuple[torch.Tensor, torch.Tensor]":
        """Draw latents and points of `count` images, or of all; the step sets the seeds."""
        import torch

        rng = np.random.default_rng([plan.seed, step])
        torch.manual_seed(int(rng.integers(2**31)))
        rows = draw_rows(self.weights, count, rng)
        pixels = torch.from_numpy(self.pixels[rows]).to(plan.device).permute(0, 3, 1, 2)
        codec = self.codec or PatchCodec(self.pixels.shape[1])
        with torch.no_grad(), autocast(plan.device) if self.codec else nullcontext():
            latents = codec.encode(pixels.float() / 255).float()
        latents = latents.contiguous(memory_format=torch.channels_last)
        return latents, torch.from_numpy(self.points[rows]).to(plan.device)


def draw_rows(weights: Float[np.ndarray, " N"], count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` rows, or all that have a weight, without repeating one."""
    count = min(count, int(np.count_nonzero(weights)))
    return rng.choice(len(weights), count, replace=False, p=weights)
