"""Sampler: the one denoising loop, its inverse, and guidance, over diffusers' schedulers.

Works on latents (torch, float32) and a `Denoiser`, any function from latents and timesteps to a
network's raw output. Knows no points, no images and no model.
"""

from typing import TYPE_CHECKING

from explorer.sampler.guidance import batches, guided, on_meta
from explorer.sampler.inversion import invert
from explorer.sampler.loop import Known, Step, denoise, last, own_step, split
from explorer.sampler.schedule import schedule

if TYPE_CHECKING:
    from explorer.sampler.guidance import Condition as Condition
    from explorer.sampler.guidance import Denoiser as Denoiser

__all__ = [
    "Known",
    "Step",
    "batches",
    "denoise",
    "guided",
    "invert",
    "last",
    "on_meta",
    "own_step",
    "schedule",
    "split",
]
