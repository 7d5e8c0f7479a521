"""Settings of a reverse process, and the diffusers scheduler that they ask for."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

from explorer.errors import QueryError

Solver = Literal["ddim", "dpm", "unipc", "own"]
"""DDIM (takes η, can be inverted), a fast solver (DPM-Solver++ 2M or UniPC), or the checkpoint's
own scheduler, run as the family's pipeline in diffusers runs it."""

# what is read of a config; the rest is about another solver, or about learned variances
SCHEDULE_KEYS = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"),
    *("rescale_betas_zero_snr", "set_alpha_to_one", "prediction_type"),
    *("timestep_spacing", "steps_offset", "clip_sample", "clip_sample_range"),
    *("thresholding", "dynamic_thresholding_ratio", "sample_max_value"),
)


@dataclass(frozen=True)
class Settings:
    """How a reverse process runs, whatever it starts from.

    Args:
        steps: from 1 to the number of steps that the decoder was trained with.
        guidance: 1 is off, 0 ignores the point, above 1 follows it more closely.
        eta: 0 is deterministic, 1 as random as DDPM; above 0 only with "ddim".
        strength: the part of the steps that is done, the last ones; below 1 starts from an image.

    Raises:
        QueryError: a value is out of its range.

    Source: eta, Song et al. 2021 (DDIM) eq. 16; guidance, Ho & Salimans 2022; strength, Meng et
    al. 2022 (SDEdit).
    """

    steps: int
    guidance: float = 1.0
    eta: float = 0.0
    solver: Solver = "ddim"
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.steps != int(self.steps) or self.steps < 1:
            raise QueryError(f"Steps are a whole number from 1 up, not {self.steps}.")
        if not np.isfinite(self.guidance):
            raise QueryError(f"Guidance must be a finite number, not {self.guidance}; 1 is off.")
        if not 0 <= self.eta <= 1:
            raise QueryError(f"eta lies between 0 (deterministic) and 1 (as DDPM), not {self.eta}.")
        if self.solver not in get_args(Solver):
            names = ", ".join(map(repr, get_args(Solver)))
            raise QueryError(f"There is no solver {self.solver!r}. Choose one of {names}.")
        if self.eta > 0 and self.solver != "ddim":
            raise QueryError(
                f'eta = {self.eta} needs solver="ddim": {self.solver!r} leaves no choice of it. '
                "Leave eta at 0, or change the solver."
            )
        if not 0 < self.strength <= 1 or self.skipped == self.steps:
            raise QueryError(
                f"Strength {self.strength} of {self.steps} steps leaves none to do. It lies above "
                f"0 (keep the image) and up to 1 (all new); here from {1 / self.steps:.2g} up."
            )

    @property
    def skipped(self) -> int:
        """How many of the first, noisiest steps are left out."""
        return self.steps - int(self.steps * self.strength)


def resolved(config: dict[str, Any]) -> dict[str, Any]:
    """Give what the solvers read of a config; what it leaves out is as in the class that it names.

    A config that names no class does not clip: DDIMScheduler would, which ruins latents that are
    not pixels.
    """
    said = _own(config).config if "_class_name" in config else config
    return {"clip_sample": False} | {k: said[k] for k in SCHEDULE_KEYS if k in said}


def schedule(config: dict[str, Any], settings: Settings) -> Any:
    """Build the diffusers scheduler of `settings.solver`, its timesteps set.

    The fast solvers are fed x_0 instead of the network's raw output, so that clipping works with
    them as it does with DDIM.

    Args:
        config: a diffusers scheduler config; "own" needs its `_class_name`.

    Raises:
        QueryError: the schedule cannot be cut into so many steps, or "own" is of no known class.
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

    # the fast ones start at t = T - 1 unless told otherwise, where on a cosine schedule ε says
    # nothing of x_0
    known = {"timestep_spacing": "leading"} | resolved(config)
    train_steps = known.get("num_train_timesteps", 1000)
    if settings.steps > train_steps:
        raise QueryError(
            f"{settings.steps} steps are more than the {train_steps} that this decoder knows. "
            f"Ask for 1 to {train_steps}."
        )
    if settings.solver == "own":
        scheduler: Any = _own(config)
    elif settings.solver == "ddim":
        scheduler = DDIMScheduler.from_config(known)
    else:
        fast = {"dpm": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler}
        scheduler = fast[settings.solver].from_config(known | {"prediction_type": "sample"})
    if not _cut(scheduler, settings, train_steps):
        raise QueryError(
            f"{settings.solver!r} cannot cut {train_steps} timesteps into {settings.steps} steps "
            "from noise to image. Ask for another number, such as 50."
        )
    return scheduler


def _own(config: dict[str, Any]) -> Any:
    """The scheduler that the checkpoint names, as it is."""
    import diffusers

    name = str(config.get("_class_name"))
    kind = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if kind is None:
        raise QueryError(
            f"The decoder's scheduler config names no scheduler of diffusers ({name}), so there "
            'is no solver "own". Choose "ddim", "dpm" or "unipc".'
        )
    return kind.from_config(config)


def _cut(scheduler: Any, settings: Settings, train_steps: int) -> bool:
    """Set the timesteps, and say whether they lead from noise to image."""
    try:
        scheduler.set_timesteps(settings.steps)
    except ZeroDivisionError:  # UnCLIPScheduler with one step
        return False
    if settings.solver == "own":
        return True
    t = scheduler.timesteps.tolist()
    fits = len(t) == settings.steps and t[0] < train_steps and all(a > b for a, b in pairwise(t))
    return fits and float(scheduler.alphas_cumprod[t[0]]) <= 0.5
