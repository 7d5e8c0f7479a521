"""The loop: from noise to latents, a step at a time, with any scheduler."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from explorer.sampler.schedule import resolved, schedule
from explorer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from explorer.sampler.guidance import Denoiser

    # scheduler, raw output, index, latents, generators -> what a diffusers scheduler's step gives
    StepOf = Callable[[Any, torch.Tensor, int, torch.Tensor, Sequence[torch.Generator]], Any]


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
    """The images that a process starts from, or must keep a part of.

    Args:
        latents: N C h w, of the original images.
        mask: N 1 h w, true where new content is wanted; None: everywhere.
    """

    latents: "torch.Tensor"
    mask: "torch.Tensor | None" = None

    def noised(self, scheduler: Any, noise: "torch.Tensor", index: int) -> "torch.Tensor":
        """The original at the level where the scheduler's step `index` begins, from 0."""
        if index == len(scheduler.timesteps):
            return self.latents
        return scheduler.add_noise(self.latents, noise, scheduler.timesteps[index : index + 1])

    def keep(
        self, latents: "torch.Tensor", scheduler: Any, noise: "torch.Tensor", index: int
    ) -> "torch.Tensor":
        """Put the original back outside the mask, at the level where step `index` begins."""
        import torch

        if self.mask is None:
            return latents
        return torch.where(self.mask, latents, self.noised(scheduler, noise, index))


def own_step(
    scheduler: Any,
    output: "torch.Tensor",
    index: int,
    latents: "torch.Tensor",
    generators: "Sequence[torch.Generator]",
) -> Any:
    """Do the scheduler's step `index` (from 0) as diffusers' pipelines do, and give its output.

    Args:
        output: of the network, guided; with the learned variance if the scheduler reads one.
        generators: one a row, so that no row's noise depends on another.
    """
    t, random = scheduler.timesteps[index], "generator" in signature(scheduler.step).parameters
    if scheduler.config.get("variance_type") not in ("learned", "learned_range"):
        output = output[:, : latents.shape[1]]
    return scheduler.step(output, t, latents, **({"generator": list(generators)} if random else {}))


def denoise(
    denoiser: "Denoiser",
    noise: "torch.Tensor",
    config: dict[str, Any],
    settings: Settings,
    generators: "Sequence[torch.Generator]" = (),
    known: Known | None = None,
    own_step: "StepOf" = own_step,
) -> Iterator[Step]:
    """Run the reverse process from x_T = `noise`, yielding after every step.

    Close the iterator to stop early. A row depends on no other, but for rounding.

    Args:
        config: a diffusers scheduler config: betas, prediction type, spacing, clipping.
        generators: one a row; used when eta > 0, and by an "own" scheduler that is random.
        known: in-painting; what lies outside its mask is kept at every step. With a strength
            below 1 it is what the process starts from.
        own_step: how a step of the solver "own" is done.
    """
    import torch

    scheduler, config = schedule(config, settings), resolved(config)
    steps: dict[str, StepOf] = {"ddim": partial(_ddim_step, eta=settings.eta), "own": own_step}
    step = steps.get(settings.process()[1], partial(_fast_step, config=config))
    latents = _start(scheduler, noise, settings, known)
    first, last = settings.skipped_steps, len(scheduler.timesteps)
    for index in range(first, last):
        t = scheduler.timesteps[index]
        with torch.inference_mode():
            scaled = scheduler.scale_model_input(latents, t)
            output = denoiser(scaled, t.to(noise.device).expand(len(noise)))
            done = step(scheduler, output, index, latents, generators)
            estimate = getattr(done, "pred_original_sample", None)
            if estimate is None:
                estimate = _image(scheduler, output, index, latents, config)
            latents = done.prev_sample
            if known is not None:
                latents = known.keep(latents, scheduler, noise, index + 1)
        yield Step(index - first + 1, last - first, int(t), latents, estimate)


def _start(
    scheduler: Any, noise: "torch.Tensor", settings: Settings, known: Known | None
) -> "torch.Tensor":
    if known is not None and settings.skipped_steps:
        return known.noised(scheduler, noise, settings.skipped_steps)
    latents = noise * scheduler.init_noise_sigma
    if known is None or settings.solver == "own":  # diffusers' pipelines start from noise alone
        return latents
    return known.keep(latents, scheduler, noise, 0)


def _ddim_step(
    scheduler: Any,
    output: "torch.Tensor",
    index: int,
    latents: "torch.Tensor",
    generators: "Sequence[torch.Generator]",
    eta: float,
) -> Any:
    import torch

    fresh = None
    if eta > 0:
        rows = [torch.randn(latents.shape[1:], generator=g) for g in generators]
        fresh = torch.stack(rows).to(latents.device)
    t, output = scheduler.timesteps[index], output[:, : latents.shape[1]]
    # ε must be that of the clipped image, or the error grows with the number of steps.
    return scheduler.step(
        output, t, latents, eta, use_clipped_model_output=True, variance_noise=fresh
    )


def _fast_step(
    scheduler: Any,
    output: "torch.Tensor",
    index: int,
    latents: "torch.Tensor",
    generators: "Sequence[torch.Generator]",  # noqa: ARG001 - one signature for all steps
    config: dict[str, Any],
) -> Any:
    image = _image(scheduler, output, index, latents, config)
    done = scheduler.step(image, scheduler.timesteps[index], latents)
    return SimpleNamespace(prev_sample=done.prev_sample, pred_original_sample=image)


def _image(
    scheduler: Any,
    output: "torch.Tensor",
    index: int,
    latents: "torch.Tensor",
    config: dict[str, Any],
) -> "torch.Tensor":
    """The estimated x_0, in range if the config clips."""
    alpha = float(scheduler.alphas_cumprod[scheduler.timesteps[index]])
    prediction = config.get("prediction_type", "epsilon")
    image, _ = split(output[:, : latents.shape[1]], latents, alpha, prediction)
    if config["clip_sample"] and not config.get("thresholding", False):
        limit = config.get("clip_sample_range", 1.0)
        image = image.clamp(-limit, limit)
    return image


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


def last(steps: Iterator[Step]) -> Step:
    """Run to the end, holding one step at a time."""
    return deque(steps, maxlen=1).pop()
