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
    noise: "torch.Tensor | None" = None,
    level: int = 0,
) -> Iterator[Step]:
    """Run DDIM (η = 0) backwards: find the x_T from which `denoise` arrives at `latents`.

    Every DDIM step x_t → x_prev of the grid of `denoise` is solved for x_t by fixed-point
    iteration: x_t = √(ᾱ_t/ᾱ_prev) (x_prev - √(1-ᾱ_prev) ε) + √(1-ᾱ_t) ε with ε = ε(x_t, t).
    Clipping cannot be undone, so it is left out here.

    Args:
        refinements: iterations after the first guess x_t = x_prev; 0 is plain DDIM inversion.
        noise: N C h w of unit variance, for a `level` above 0.
        level: timestep that latents are noised to first. Nearer to the image, x_T takes up the
            network's own error divided by a small √(1-ᾱ).

    Source: Dhariwal & Nichol 2021, appendix F; fixed point, Pan et al. 2023 (AIDI).
    """
    import torch

    scheduler = schedule(config, Settings(steps=steps, solver="ddim"))
    prediction, levels = scheduler.config.prediction_type, scheduler.alphas_cumprod
    stride = scheduler.config.num_train_timesteps // steps  # as DDIMScheduler.step counts back
    grid = scheduler.timesteps.flip(0)
    skipped = min(int((grid < level).sum()), steps - 1)
    for index, t in enumerate(grid[skipped:], start=1):
        before, alpha = int(t) - stride, float(levels[t])
        alpha_before = float(levels[before] if before >= 0 else scheduler.final_alpha_cumprod)
        with torch.inference_mode():
            if noise is not None and level and index == 1:
                image, latents = latents, alpha**0.5 * latents + (1 - alpha) ** 0.5 * noise
            else:
                ends = latents, t, (alpha, alpha_before), prediction
                latents, image = _backwards(denoiser, *ends, refinements)
        yield Step(index, steps - skipped, int(t), latents, image)


def _backwards(
    denoiser: "Denoiser",
    start: "torch.Tensor",
    t: "torch.Tensor",
    levels: tuple[float, float],
    prediction: str,
    refinements: int,
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Solve one step for the latents at `t` that it takes to `start`; return them and their x_0.

    Near pure noise ε comes from the estimated x_0 and x_prev: the fixed point is the same, and for
    data of variance 1 that contracts faster exactly where ᾱ_t + ᾱ_prev < 1.

    Args:
        levels: ᾱ at `t`, and at `start`.
    """
    (alpha, before), latents = levels, start
    rows = t.to(latents.device).expand(len(latents))
    for _ in range(1 + refinements):
        output = denoiser(latents, rows)[:, : latents.shape[1]]
        image, epsilon = split(output, latents, alpha, prediction)
        if alpha + before < 1:
            epsilon = (start - before**0.5 * image) / (1 - before) ** 0.5
        else:
            image = (start - (1 - before) ** 0.5 * epsilon) / before**0.5
        latents = alpha**0.5 * image + (1 - alpha) ** 0.5 * epsilon
    return latents, image
