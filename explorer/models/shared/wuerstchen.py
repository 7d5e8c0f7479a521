"""Würstchen: the continuous noise schedule of Stable Cascade, for samplers of whole timesteps.

Time goes from 1, noise, to 0. Here it is cut into 1000 timesteps, of which t stands for the time
(t + 1)/1000, so that every solver of the sampler can be used.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from explorer.errors import WeightsMissing
from explorer.models.shared.checkpoint import MISMATCH

if TYPE_CHECKING:
    import torch

LEVELS = 1000


def ratio(t: "torch.Tensor") -> "torch.Tensor":
    """Return the time of timesteps."""
    return (t + 1) / LEVELS


def discrete(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a DDPMScheduler with the noise of a DDPMWuerstchenScheduler.

    The solver "own" begins at time 1, as diffusers' pipelines do; others just below.

    Raises:
        WeightsMissing: the config holds no noise schedule.

    >>> config = discrete({"s": 0.008, "scaler": 1.0})
    >>> len(config["trained_betas"]), round(config["trained_betas"][0], 6)
    (1000, 0.0001)
    """
    try:
        betas = _betas(config)
        wrong = "" if all(0 <= beta < 1 for beta in betas) else "its noise does not grow with time"
    except MISMATCH as error:
        wrong = (str(error).splitlines() or [type(error).__name__])[0]
    if wrong:
        raise WeightsMissing(
            f"The scheduler_config.json of Stable Cascade has no noise schedule ({wrong}). "
            "Download the checkpoint again: unclip models get stable-cascade"
        )
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": LEVELS,
        "trained_betas": betas,
        "prediction_type": "epsilon",
        "clip_sample": False,
        "timestep_spacing": "leading",  # at time 1 an error of ε is one of 100 ε in the estimate
        "own": {"timestep_spacing": "trailing"},
    }


def _betas(config: dict[str, Any]) -> list[float]:
    import torch
    from diffusers import DDPMWuerstchenScheduler

    times = ratio(torch.arange(LEVELS))
    theirs = DDPMWuerstchenScheduler.from_config(config)
    signal = theirs.add_noise(torch.ones(LEVELS), torch.zeros(LEVELS), times)  # the root of ᾱ
    kept = signal.double() ** 2
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    betas: list[float] = (1 - kept / before).tolist()
    return betas


def step(
    config: dict[str, Any],
    scheduler: Any,
    output: "torch.Tensor",
    index: int,
    latents: "torch.Tensor",
    generators: "Sequence[torch.Generator]",
) -> Any:
    """Run step `index` of a DDPMWuerstchenScheduler at the times of `scheduler`'s timesteps.

    Args:
        config: of the DDPMWuerstchenScheduler.
        scheduler: of the config that `discrete` gives.
    """
    from diffusers import DDPMWuerstchenScheduler

    theirs = DDPMWuerstchenScheduler.from_config(config)
    theirs.set_timesteps(timesteps=[*ratio(scheduler.timesteps).tolist(), 0.0])
    theirs.timesteps = theirs.timesteps.to(latents.device)
    now = theirs.timesteps[index].expand(len(latents))
    return theirs.step(output, now, latents, generator=list(generators))
