"""Noise schedules of new decoders, as scheduler configs of diffusers."""

import math
from typing import Any

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


def schedule_of_tokens(shape: tuple[int, int, int]) -> dict[str, Any]:
    """Return the schedule for tokens of variance one, with more noise the more numbers there are.

    The ratio of signal to noise is divided by the numbers over 4096: neighbouring tokens say the
    same, so that as much noise hides less of them. Nothing is clipped, and the network predicts v,
    so that inversion finds every image again: where there is little noise, x_0 is the input itself.

    Source: Zheng et al. 2025 (RAE), section 4.2, after Esser et al. 2024; v, Salimans & Ho 2022.
    """
    import torch
    from diffusers import DDIMScheduler

    alphas = DDIMScheduler.from_config(SCHEDULER).alphas_cumprod.double()
    shifted = 1 / (1 + (1 - alphas) / alphas * math.prod(shape) / 4096)
    steps = 1 - shifted / torch.cat([torch.ones(1).double(), shifted[:-1]])
    betas = [round(beta, 8) for beta in steps.clamp(max=0.999).tolist()]
    own = {"trained_betas": betas, "clip_sample": False, "prediction_type": "v_prediction"}
    return SCHEDULER | own
