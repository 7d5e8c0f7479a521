"""Sampler: the one denoising loop, its inverse, and guidance, over diffusers' schedulers.

Works on latents (torch, float32) and a `Denoiser`, any function from latents and timesteps to a
network's raw output. Knows no points, no pictures and no model.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from explorer.errors import QueryError

if TYPE_CHECKING:
    import torch

    Condition = dict[str, torch.Tensor]  # every tensor has one row a picture
    Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # latents, t (N,) -> raw output

Solver = Literal["ddim", "dpm", "unipc"]
"""DDIM (takes η, can be inverted), or a fast solver: DPM-Solver++ (2M) or UniPC."""

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

    Raises:
        QueryError: a value is out of its range.

    Source: eta, Song et al. 2021 (DDIM) eq. 16; guidance, Ho & Salimans 2022.
    """

    steps: int
    guidance: float = 1.0
    eta: float = 0.0
    solver: Solver = "ddim"

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
                f'eta = {self.eta} needs solver="ddim": {self.solver!r} solves the deterministic '
                "process. Leave eta at 0, or change the solver."
            )


@dataclass(frozen=True, eq=False)
class Step:
    """Where a reverse process stands after one step.

    `latents` of the last step are the result; `estimate` is what the finished latents would be,
    judged at timestep `t`, before the step.
    """

    index: int  # from 1 to total
    total: int
    t: int
    latents: "torch.Tensor"  # N C h w, float32
    estimate: "torch.Tensor"  # N C h w, float32


@dataclass(frozen=True, eq=False)
class Known:
    """The part of the latents that in-painting must not change.

    Args:
        latents: N C h w, of the original pictures.
        mask: N 1 h w, true where new content is wanted.
    """

    latents: "torch.Tensor"
    mask: "torch.Tensor"

    def keep(self, latents: "torch.Tensor", noise: "torch.Tensor", alpha: float) -> "torch.Tensor":
        """Put the original back outside the mask, noised to the level ᾱ = alpha."""
        import torch

        original = alpha**0.5 * self.latents + (1 - alpha) ** 0.5 * noise
        return torch.where(self.mask, latents, original)


def guided(
    predict: "Callable[[torch.Tensor, torch.Tensor, Condition], torch.Tensor]",
    conditions: "tuple[Condition, Condition]",
    guidance: float,
    batch_size: int,
    dtype: "torch.dtype",
) -> "Denoiser":
    """Bind the network to its conditions: u + guidance · (c - u), on its raw output.

    One call of the network a batch, on both sides at once; at guidance 1 on the point's side only.
    The network works in `dtype`; what comes back is float32.

    Args:
        conditions: for the points, and for "no point".

    Source: Ho & Salimans 2022, eq. 6, with guidance = 1 + w.
    """
    import torch

    def one_batch(latents: "torch.Tensor", t: "torch.Tensor", rows: slice) -> "torch.Tensor":
        with_point, without = ({k: v[rows] for k, v in side.items()} for side in conditions)
        latents = latents.to(dtype)
        if guidance == 1:
            return predict(latents, t, with_point).float()
        both = {k: torch.cat([without[k], v]) for k, v in with_point.items()}
        output = predict(torch.cat([latents, latents]), torch.cat([t, t]), both).float()
        unconditional, conditional = output.chunk(2)
        return unconditional + guidance * (conditional - unconditional)

    def denoiser(latents: "torch.Tensor", t: "torch.Tensor") -> "torch.Tensor":
        # By default cuDNN may pick TF32 and another algorithm for another batch size, so that a
        # frame would depend on its neighbours in the batch.
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            return torch.cat(
                [one_batch(latents[s], t[s], s) for s in batches(len(latents), batch_size)]
            )

    return denoiser


def schedule(config: dict[str, Any], settings: Settings) -> Any:
    """Build the diffusers scheduler of `settings.solver`, its timesteps set.

    The fast solvers are fed x_0 instead of the network's raw output, so that clipping works with
    them as it does with DDIM.

    Raises:
        QueryError: the schedule cannot be cut into so many steps.
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

    # DDIMScheduler clips unless told otherwise, which ruins latents that are not pixels; the fast
    # ones start at t = T - 1, where on a cosine schedule ε says nothing of x_0.
    defaults: dict[str, Any] = {"clip_sample": False, "timestep_spacing": "leading"}
    known = defaults | {k: config[k] for k in SCHEDULE_KEYS if k in config}
    train_steps = known.get("num_train_timesteps", 1000)
    if settings.steps > train_steps:
        raise QueryError(
            f"{settings.steps} steps are more than the {train_steps} that this decoder knows. "
            f"Ask for 1 to {train_steps}."
        )
    if settings.solver == "ddim":
        scheduler: Any = DDIMScheduler.from_config(known)
    else:
        fast = {"dpm": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler}
        scheduler = fast[settings.solver].from_config(known | {"prediction_type": "sample"})
    scheduler.set_timesteps(settings.steps)
    t = scheduler.timesteps.tolist()
    fits = len(t) == settings.steps and t[0] < train_steps and all(a > b for a, b in pairwise(t))
    if not fits or scheduler.alphas_cumprod[t[0]] > 0.5:
        raise QueryError(
            f"{settings.solver!r} cannot cut {train_steps} timesteps into {settings.steps} steps "
            "from noise to picture. Ask for another number, such as 50."
        )
    return scheduler


def split(
    output: "torch.Tensor", latents: "torch.Tensor", alpha: float, prediction: str
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Read x_0 and ε out of a network's raw output, at the level ᾱ = alpha.

    Source: epsilon, Ho et al. 2020 eq. 15; v, Salimans & Ho 2022 appendix D.
    """
    signal, noise = alpha**0.5, (1 - alpha) ** 0.5
    if prediction == "sample":
        return output, (latents - signal * output) / noise
    if prediction == "v_prediction":
        return signal * latents - noise * output, signal * output + noise * latents
    return (latents - noise * output) / signal, output


def denoise(
    denoiser: "Denoiser",
    noise: "torch.Tensor",
    config: dict[str, Any],
    settings: Settings,
    generators: "Sequence[torch.Generator]" = (),
    known: Known | None = None,
) -> Iterator[Step]:
    """Run the reverse process from x_T = `noise`, yielding after every step.

    Close the iterator to stop early. A picture's row depends on no other row.

    Args:
        config: a diffusers scheduler config: betas, prediction type, spacing, clipping.
        generators: one a row; used only when eta > 0.
        known: in-painting; what lies outside its mask is kept at every step.
    """
    import torch

    scheduler = schedule(config, settings)
    levels = [float(scheduler.alphas_cumprod[t]) for t in scheduler.timesteps] + [1.0]
    latents = noise if known is None else known.keep(noise, noise, levels[0])
    for index, t in enumerate(scheduler.timesteps, start=1):
        with torch.inference_mode():
            output = denoiser(latents, t.to(noise.device).expand(len(noise)))
            if settings.solver == "ddim":
                fresh = None
                if settings.eta > 0:
                    rows = [torch.randn(noise.shape[1:], generator=g) for g in generators]
                    fresh = torch.stack(rows).to(noise.device)
                done = scheduler.step(output, t, latents, settings.eta, variance_noise=fresh)
                latents, estimate = done.prev_sample, done.pred_original_sample
            else:
                estimate = _clipped_picture(output, latents, levels[index - 1], config)
                latents = scheduler.step(estimate, t, latents).prev_sample
            if known is not None:
                latents = known.keep(latents, noise, levels[index])
        yield Step(index, settings.steps, int(t), latents, estimate)


def _clipped_picture(
    output: "torch.Tensor", latents: "torch.Tensor", alpha: float, config: dict[str, Any]
) -> "torch.Tensor":
    picture, _ = split(output, latents, alpha, config.get("prediction_type", "epsilon"))
    if config.get("clip_sample", False) and not config.get("thresholding", False):
        limit = config.get("clip_sample_range", 1.0)
        picture = picture.clamp(-limit, limit)
    return picture


def invert(
    denoiser: "Denoiser",
    latents: "torch.Tensor",
    config: dict[str, Any],
    steps: int,
    refinements: int = 4,
) -> Iterator[Step]:
    """Run DDIM (η = 0) backwards: find the x_T from which `denoise` arrives at `latents`.

    Every DDIM step x_t → x_prev, of the same grid and the same ᾱ as `denoise` uses, is solved for
    x_t by fixed-point iteration: x_t = √(ᾱ_t/ᾱ_prev) (x_prev - √(1-ᾱ_prev) ε) + √(1-ᾱ_t) ε with
    ε = ε(x_t, t). Near pure noise, where that contracts slowly, ε comes from the estimated x_0 and
    x_prev instead: the fixed point is the same, and for data of variance 1 that contracts faster
    exactly where ᾱ_t + ᾱ_prev < 1. Clipping cannot be undone, so it is left out here.

    Args:
        refinements: iterations after the first guess x_t = x_prev; 0 is plain DDIM inversion.

    Source: Dhariwal & Nichol 2021, appendix F; fixed point, Pan et al. 2023 (AIDI).
    """
    import torch

    scheduler = schedule(config, Settings(steps))
    prediction = scheduler.config.prediction_type
    stride = scheduler.config.num_train_timesteps // steps  # as DDIMScheduler.step counts back
    for index, t in enumerate(reversed(scheduler.timesteps), start=1):
        before, levels = int(t) - stride, scheduler.alphas_cumprod
        alpha = float(levels[t])
        alpha_before = float(levels[before] if before >= 0 else scheduler.final_alpha_cumprod)
        with torch.inference_mode():
            start, rows = latents, t.to(latents.device).expand(len(latents))
            for _ in range(1 + refinements):
                output = denoiser(latents, rows)
                picture, epsilon = split(output, latents, alpha, prediction)
                if alpha + alpha_before < 1:
                    epsilon = (start - alpha_before**0.5 * picture) / (1 - alpha_before) ** 0.5
                else:
                    picture = (start - (1 - alpha_before) ** 0.5 * epsilon) / alpha_before**0.5
                latents = alpha**0.5 * picture + (1 - alpha) ** 0.5 * epsilon
        yield Step(index, steps, int(t), latents, picture)


def batches(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of at most `size`."""
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def last(steps: Iterator[Step]) -> Step:
    """Run to the end, holding one step at a time."""
    return deque(steps, maxlen=1).pop()
