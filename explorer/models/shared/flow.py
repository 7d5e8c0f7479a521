"""Flow: the straight line from image to noise of FLUX, for samplers of noise at unit variance.

At a share s of noise a point of the line is (1 - s) image + s noise, and a network predicts the
velocity, noise - image. Here time is cut into 1000 timesteps, so that every solver of the sampler
can be used: t stands for the time (t + 1)/1000, before the shift of `share_of_noise`.

Source: Esser et al. 2024 (rectified flow), and diffusers' FluxPipeline.
"""

import math
from typing import Any

import numpy as np

from explorer.errors import WeightsMissing
from explorer.models.shared.checkpoint import MISMATCH

LEVELS = 1000
LEAST = 2.0**-40  # ᾱ of pure noise: the fast solvers divide by it


def share_of_noise(t: Any, config: dict[str, Any], tokens: float) -> Any:
    """Return the share of noise at timesteps, which is larger the larger the image is.

    Args:
        config: of a FlowMatchEulerDiscreteScheduler.
        tokens: of the image.

    >>> float(share_of_noise(999, {}, 4096))
    1.0
    """
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    fewest, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    shift = math.exp(low + (tokens - fewest) * (high - low) / (most - fewest))
    time = (t + 1) / LEVELS
    return shift * time / (1 + (shift - 1) * time)


def discrete(config: dict[str, Any], tokens: float) -> dict[str, Any]:
    """Return the config of a DDIMScheduler with this noise at unit variance.

    The solver "own" is Euler on the line, which is DDIM, from pure noise as in diffusers' pipeline.
    Arguments are as for `share_of_noise`.

    Raises:
        WeightsMissing: the config holds no shift of times.
    """
    try:
        share = share_of_noise(np.arange(LEVELS), config, tokens)
        kept = np.maximum((1 - share) ** 2 / ((1 - share) ** 2 + share**2), LEAST)
        betas = 1 - kept / np.concatenate([[1.0], kept[:-1]])
        wrong = "" if ((betas >= 0) & (betas < 1)).all() else "noise does not grow with time"
    except MISMATCH as error:
        wrong = (str(error).splitlines() or [type(error).__name__])[0]
    if wrong:
        raise WeightsMissing(
            f"The scheduler_config.json of FLUX has no shift of times ({wrong}). Download the "
            "checkpoint again: unclip models get flux-ip-adapter"
        )
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": LEVELS,
        "trained_betas": betas.tolist(),
        "prediction_type": "v_prediction",
        "clip_sample": False,
        "set_alpha_to_one": True,
        "timestep_spacing": "leading",
        "own": {"timestep_spacing": "trailing"},
    }
