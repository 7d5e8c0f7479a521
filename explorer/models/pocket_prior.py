"""Pocket's prior: a small PriorTransformer of diffusers over the CLIP's own token states.

Works on texts and points; the folder that it reads is one part of pocket's.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer import sampler
from explorer.errors import QueryError
from explorer.models.openclip import OpenClipEncoder
from explorer.points import Points
from explorer.prior import Prior

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition


class PocketPrior(Prior):
    """A diffusers PriorTransformer over the CLIP text tower's token states.

    Source: Ramesh et al. 2022, section 2.2: it predicts the point itself, not the noise.
    """

    def __init__(
        self, folder: FilePath, encoder: OpenClipEncoder, manifest: dict[str, Any]
    ) -> None:
        self.space, self._encoder, self._folder = encoder.space, encoder, folder
        self.steps, self.guidance = manifest["prior_steps"], manifest["prior_guidance"]
        self.fingerprint = manifest["sha256"]["prior/diffusion_pytorch_model.safetensors"]

    @cached_property
    def _transformer(self) -> Any:
        from diffusers import PriorTransformer

        transformer = PriorTransformer.from_pretrained(
            self._folder, use_safetensors=True, low_cpu_mem_usage=False
        )
        return transformer.float().eval().requires_grad_(False).to(self._encoder.device)

    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        import torch

        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts or candidates < 1:
            raise QueryError(
                f"A prior needs a text and a candidate for each, not {len(texts)} texts and "
                f"{candidates} candidates."
            )
        found = []
        for start in range(0, len(texts), 32):
            batch = texts[start : start + 32]
            with torch.inference_mode():
                drawn = self._draw(batch, seed, candidates)  # N candidates D
            towards = self._encoder.encode_text(batch).unit
            cosines = np.einsum(
                "ncd,nd->nc", drawn / np.linalg.norm(drawn, axis=2)[..., None], towards
            )
            found.append(drawn[np.arange(len(batch)), cosines.argmax(1)])
        return Points(np.concatenate(found), self.space, "image", tuple(texts))

    def _draw(self, texts: list[str], seed: int, candidates: int) -> np.ndarray:
        import torch

        device = self._encoder.device
        tokens = self._encoder.tokenizer([*texts, ""]).to(device)
        read = token_states(self._encoder.module, tokens)
        pooled, states, mask = (t.repeat_interleave(candidates, 0) for t in (x[:-1] for x in read))
        nothing = [x[-1:].expand(len(pooled), *x.shape[1:]) for x in read]
        nothing[0] = torch.zeros_like(pooled)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(candidates, self.space.dimension, generator=generator)
        latents = noise.repeat(len(texts), 1).to(device)

        def predict(x: "torch.Tensor", t: "torch.Tensor", condition: "Condition") -> "torch.Tensor":
            out = self._transformer(
                x.flatten(1),
                t,
                condition["pooled"],
                encoder_hidden_states=condition["states"],
                attention_mask=condition["mask"],
            )
            return out.predicted_image_embedding[:, :, None, None]

        keys = ("pooled", "states", "mask")
        some, none = (
            dict(zip(keys, given, strict=True)) for given in ((pooled, states, mask), nothing)
        )
        denoiser = sampler.guided(predict, (some, none), self.guidance, len(latents), torch.float32)
        settings = sampler.Settings(self.steps, self.guidance)
        steps = sampler.denoise(denoiser, latents[:, :, None, None], PRIOR_SCHEDULE, settings, [])
        last = sampler.last(steps).latents.flatten(1)
        points = self._transformer.post_process_latents(last).float().cpu().numpy()
        return points.reshape(len(texts), candidates, -1)


def token_states(
    module: Any, tokens: "torch.Tensor"
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """The text tower's points (N D), its token states (N L D), and which tokens count (N L)."""
    import torch

    states: list[torch.Tensor] = []
    hook = module.ln_final.register_forward_hook(lambda *given: states.append(given[2]))
    try:
        points = module.encode_text(tokens)
    finally:
        hook.remove()
    ends = tokens.argmax(1, keepdim=True)  # the end mark has the highest number
    mask = torch.arange(tokens.shape[1], device=tokens.device) <= ends
    return points.float(), states[0].float(), mask


PRIOR_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "sample",
    "clip_sample": False,
    "timestep_spacing": "leading",
    "set_alpha_to_one": True,
}
