"""Transformer prior: the prior of Karlo and Kandinsky 2.2, sampled with its own scheduler.

It works on texts and points; it knows no decoder. Pocket has another (η = 0).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer import sampler
from explorer.errors import WeightsMissing
from explorer.models.shared.checkpoint import placed, read_config
from explorer.models.shared.clip_towers import TransformersEncoder
from explorer.models.shared.manifest import sha256
from explorer.prior import SamplingPrior
from explorer.settings import Settings

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

WEIGHTS = "diffusion_pytorch_model.safetensors"


class TransformerPrior(SamplingPrior):
    """Texts to points by ancestral sampling, un-standardised with the checkpoint's statistics.

    The unconditional input is the empty text. With one candidate the result is that of diffusers'
    pipelines with one generator per text, `generator_for(seed, 0)`.

    Args:
        folder: of the PriorTransformer.
        scheduler: folder with scheduler_config.json.
        encoder: its text tower computes the token states.
        steps: at least 2, the minimum of UnCLIPScheduler.

    Raises:
        WeightsMissing: the scheduler's config cannot be read.

    Source: Ramesh et al. 2022, section 2.2: it predicts the point, not the noise.
    """

    encoder: TransformersEncoder

    def __init__(
        self,
        folder: FilePath,
        scheduler: FilePath,
        encoder: TransformersEncoder,
        *,
        steps: int = 25,
        guidance: float = 4.0,
    ) -> None:
        self.space, self.encoder, self._folder = encoder.space, encoder, folder
        self.steps, self.guidance = steps, guidance
        self._schedule = read_config(scheduler / "scheduler_config.json")

    @cached_property
    def fingerprint(self) -> str:
        """Return the sha256 of the prior's weights, for recipes."""
        return sha256(self._folder / WEIGHTS)

    @cached_property
    def norms(self) -> tuple[float, float]:
        """Compute mean and deviation of the lengths of points from the checkpoint's statistics.

        Raises:
            WeightsMissing: the weights cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._folder / WEIGHTS, "np") as tensors:
                names = ("clip_mean", "clip_std")
                return length_statistics(*(tensors.get_tensor(name) for name in names))
        except (OSError, SafetensorError) as error:
            raise WeightsMissing(
                f"{self._folder} has no weights of a prior that can be read ({error}). It needs "
                f"{WEIGHTS}; download the checkpoint again."
            ) from error

    @property
    def _transformer(self) -> Any:
        from diffusers import PriorTransformer

        return placed(
            self.encoder.on, PriorTransformer, self._folder, self.encoder.dtype, exact=True
        )

    def sample_candidates(
        self, texts: list[str], seed: int, candidates: int
    ) -> Float[np.ndarray, "N K D"]:
        import torch

        n = len(texts) * candidates
        generators = [generator_for(seed, k) for _ in texts for k in range(candidates)]
        read = dict(zip(_TOKEN_STATES, self.encoder.token_states([*texts, ""]), strict=True))
        some = {name: v[:-1].repeat_interleave(candidates, 0) for name, v in read.items()}
        none = {name: v[-1:].expand(n, *v.shape[1:]) for name, v in read.items()}
        size = (self.space.dimension, 1, 1)
        noise = torch.stack([torch.randn(size, generator=g) for g in generators])
        dtype = getattr(torch, self.encoder.dtype)
        bound = (self._predict, (some, none), self.guidance)
        call = sampler.on_meta(*bound, size, dtype)
        rows = self.encoder.on.rows((self._folder, size), call, n)
        steps = sampler.denoise(
            sampler.guided(*bound, rows, dtype),
            noise.to(self.encoder.device),
            self._schedule,
            Settings(steps=self.steps, solver="own"),
            generators,
            own_step=unclip_step,
        )
        last = sampler.last(steps).latents.flatten(1)
        points = self._transformer.post_process_latents(last).float().cpu().numpy()
        return points.reshape(len(texts), candidates, -1)

    def _predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        output = self._transformer(latents.flatten(1), t, **condition)
        return output.predicted_image_embedding[:, :, None, None]


_TOKEN_STATES = (
    "proj_embedding",
    "encoder_hidden_states",
    "attention_mask",
)  # PriorTransformer's names


def length_statistics(
    mean: Float[np.ndarray, "..."], std: Float[np.ndarray, "..."]
) -> tuple[float, float]:
    """Compute mean and deviation of the lengths of normally distributed vectors.

    The squared length has mean Σ μ² + σ² and variance Σ 2σ⁴ + 4μ²σ²; those of the length follow to
    first order.

    >>> length_statistics(np.full(100, 3.0), np.zeros(100))
    (30.0, 0.0)
    """
    variance = np.square(std, dtype=np.float64)
    squared_mean = np.square(mean, dtype=np.float64)
    length = float((squared_mean + variance).sum() ** 0.5)
    deviation = (2 * variance**2 + 4 * squared_mean * variance).sum() ** 0.5 / (2 * length)
    return length, float(deviation)


def generator_for(seed: int, candidate: int) -> "torch.Generator":
    """Return the generator of one candidate; it depends on neither text nor batch."""
    import torch

    mixed = np.random.SeedSequence([seed, candidate]).generate_state(1)  # torch reads 32 bits
    return torch.Generator().manual_seed(int(mixed[0]))


def unclip_step(
    scheduler: Any,
    output: "torch.Tensor",
    index: int,
    latents: "torch.Tensor",
    generators: "Sequence[torch.Generator]",
) -> Any:
    """Run a step of UnCLIPScheduler, which takes the next timestep, or None at the last."""
    t, following = scheduler.timesteps[index], scheduler.timesteps[index + 1 : index + 2]
    return scheduler.step(
        output,
        t,
        latents,
        prev_timestep=following[0] if len(following) else None,
        generator=list(generators),
    )
