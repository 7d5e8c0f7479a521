"""Inversion: DDIM run backwards, from latents to the noise that they come from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from explorer.sampler.loop import Step, split
from explorer.sampler.schedule import schedule
from explorer.settings import Settings

if TYPE_CHECKING:
    import torch

    from explorer.sampler.guidance import Denoiser


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

    scheduler = schedule(config, Settings(steps=steps, solver="ddim"))
    prediction = scheduler.config.prediction_type
    stride = scheduler.config.num_train_timesteps // steps  # as DDIMScheduler.step counts back
    for index, t in enumerate(reversed(scheduler.timesteps), start=1):
        before, levels = int(t) - stride, scheduler.alphas_cumprod
        alpha = float(levels[t])
        alpha_before = float(levels[before] if before >= 0 else scheduler.final_alpha_cumprod)
        with torch.inference_mode():
            start, rows = latents, t.to(latents.device).expand(len(latents))
            for _ in range(1 + refinements):
                output = denoiser(latents, rows)[:, : latents.shape[1]]
                image, epsilon = split(output, latents, alpha, prediction)
                if alpha + alpha_before < 1:
                    epsilon = (start - alpha_before**0.5 * image) / (1 - alpha_before) ** 0.5
                else:
                    image = (start - (1 - alpha_before) ** 0.5 * epsilon) / alpha_before**0.5
                latents = alpha**0.5 * image + (1 - alpha) ** 0.5 * epsilon
        yield Step(index, steps, int(t), latents, image)
