"""The diffusers scheduler that settings ask for."""

from itertools import pairwise
from typing import Any

from explorer.errors import QueryError
from explorer.settings import Settings

# what is read of a config; the rest is about another solver, or about learned variances
SCHEDULE_KEYS = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"),
    *("rescale_betas_zero_snr", "set_alpha_to_one", "prediction_type"),
    *("timestep_spacing", "steps_offset", "clip_sample", "clip_sample_range"),
    *("thresholding", "dynamic_thresholding_ratio", "sample_max_value"),
)

SCHEDULERS = (  # the classes that a scheduler_config.json may name
    *("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "UnCLIPScheduler", "LCMScheduler"),
    *("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "HeunDiscreteScheduler"),
    *("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "LMSDiscreteScheduler"),
)


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
        config: a diffusers scheduler config; "own" needs its `_class_name`, and takes what `own`
            in it says instead.

    Raises:
        QueryError: the schedule cannot be cut into these steps, or "own" is of no known class.
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

    # the fast ones start at t = T - 1 unless told otherwise, where on a cosine schedule ε says
    # nothing of x_0
    steps, solver = settings.process()
    known = {"timestep_spacing": "leading"} | resolved(config)
    train_steps = known.get("num_train_timesteps", 1000)
    if steps > train_steps:
        raise QueryError(
            f"{steps} steps are more than the {train_steps} that this decoder knows. "
            f"Ask for 1 to {train_steps}."
        )
    if solver == "own":
        own = config.get("own")
        scheduler: Any = _own(config | own if isinstance(own, dict) else config)
    elif solver == "ddim":
        scheduler = _built(DDIMScheduler, known)
    else:
        fast = {"dpm": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler}
        scheduler = _built(fast[solver], known | {"prediction_type": "sample"})
    if not _cut(scheduler, steps, solver, train_steps):
        raise QueryError(
            f"{solver!r} cannot cut {train_steps} timesteps into {steps} steps "
            "from noise to image. Ask for another number, such as 50."
        )
    return scheduler


def _own(config: dict[str, Any]) -> Any:
    """The scheduler that the checkpoint names, as it is."""
    import diffusers

    name = str(config.get("_class_name"))
    if name not in SCHEDULERS:
        raise QueryError(
            f"The decoder's scheduler config names no scheduler that is known ({name}), so there "
            'is no solver "own". Choose "ddim", "dpm" or "unipc".'
        )
    return _built(getattr(diffusers, name), {k: v for k, v in config.items() if k != "own"})


def _built(kind: Any, config: dict[str, Any]) -> Any:
    """Build a scheduler from a config that somebody else may have written.

    Raises:
        QueryError: a value in it is none that the scheduler knows.
    """
    predicted = config.get("prediction_type", "epsilon")
    try:
        if predicted not in ("epsilon", "sample", "v_prediction"):
            raise ValueError(f"prediction_type is {predicted!r}")
        return kind.from_config(config)
    except _UNKNOWN as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise QueryError(
            f"The decoder's scheduler config cannot be used ({reason}). Take the decoder from its "
            "source again."
        ) from error


_UNKNOWN = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError),
    *(ArithmeticError, AssertionError),
)


def _cut(scheduler: Any, steps: int, solver: str, train_steps: int) -> bool:
    """Set the timesteps, and say whether they lead from noise to image."""
    try:
        scheduler.set_timesteps(steps)
    except ZeroDivisionError:  # UnCLIPScheduler with one step
        return False
    if solver == "own":
        return True
    t = scheduler.timesteps.tolist()
    fits = len(t) == steps and t[0] < train_steps and all(a > b for a, b in pairwise(t))
    return fits and float(scheduler.alphas_cumprod[t[0]]) <= 0.5
