"""Clipping in the DDIM loop: noise and image of a step belong together."""

import pytest
import torch

from explorer import sampler
from explorer.settings import Settings

CONFIG = {
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "sample",
    "timestep_spacing": "trailing",
    "clip_sample": True,
}


@pytest.mark.parametrize("steps", [4, 50])
def test_the_noise_of_a_step_stays_where_the_clipped_image_stays(steps):
    noise = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    settings = Settings(steps=steps, solver="ddim")
    scheduler = sampler.schedule(CONFIG, settings)
    levels = [float(scheduler.alphas_cumprod[t]) for t in scheduler.timesteps]

    def noise_in(latents, alpha):
        return (latents - alpha**0.5) / (1 - alpha) ** 0.5  # of an image that is 1 everywhere

    walk = sampler.denoise(lambda x, t: torch.full_like(x, 3), noise, CONFIG, settings)
    for step, alpha in zip(walk, levels[1:], strict=False):
        assert torch.allclose(noise_in(step.latents, alpha), noise_in(noise, levels[0]), atol=1e-3)
