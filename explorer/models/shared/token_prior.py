"""Token prior: a small prior over an open_clip text tower, of pocket and of `unclip train`.

It works on texts and points; its folder has `prior/` in diffusers' layout.
"""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer import sampler
from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import UnknownModel
from explorer.models.light import LightEncoder
from explorer.models.openclip import OpenClipEncoder
from explorer.models.shared.checkpoint import placed
from explorer.models.shared.text_notes import clean_texts
from explorer.prior import SamplingPrior
from explorer.settings import Settings

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

PRIOR = "prior/diffusion_pytorch_model.safetensors"


class TokenPrior(SamplingPrior):
    """A PriorTransformer of diffusers over the token states of CLIP's text tower.

    Source: Ramesh et al. 2022, section 2.2: it predicts the point, not the noise.
    """

    def __init__(self, folder: FilePath, encoder: Encoder, manifest: dict[str, Any]) -> None:
        self.space, self.encoder, self._folder = encoder.space, encoder, folder
        self.steps, self.guidance = manifest["prior_steps"], manifest["prior_guidance"]
        self.fingerprint = manifest["sha256"][PRIOR]

    @property
    def _device(self) -> Device:
        device = self.encoder.on
        assert device is not None
        return device

    def _read(self, texts: list[str]) -> "tuple[torch.Tensor, ...]":
        """Return points, token states and masks, as `token_states`, without loading the encoder
        if it need not be.
        """
        import torch

        if isinstance(encoder := self.encoder, LightEncoder):
            tokens = encoder.tokenizer(clean_texts(texts, encoder.tokenizer.context_length))
            return tuple(torch.from_numpy(part) for part in encoder.tower.states(tokens))
        assert isinstance(encoder, OpenClipEncoder)
        return token_states(encoder.module, encoder.tokenizer(texts).to(encoder.device))

    @property
    def _transformer(self) -> Any:
        from diffusers import PriorTransformer

        return placed(self._device, PriorTransformer, self._folder / "prior", "float32", exact=True)

    def sample_candidates(
        self, texts: list[str], seed: int, candidates: int
    ) -> Float[np.ndarray, "N K D"]:
        import torch

        device = torch.device(self._device.name)
        read = [part.to(device) for part in self._read([*texts, ""])]
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
            dict(zip(keys, side, strict=True)) for side in ((pooled, states, mask), nothing)
        )
        bound = (predict, (some, none), self.guidance)
        call = sampler.on_meta(*bound, (latents.shape[1], 1, 1), torch.float32)
        rows = self._device.rows((self._folder, states.shape[1:]), call, len(latents))
        denoiser = sampler.guided(*bound, rows, torch.float32)
        settings = Settings(steps=self.steps, solver="ddim")
        steps = sampler.denoise(denoiser, latents[:, :, None, None], PRIOR_SCHEDULE, settings, [])
        last = sampler.last(steps).latents.flatten(1)
        points = self._transformer.post_process_latents(last).float().cpu().numpy()
        return points.reshape(len(texts), candidates, -1)


def token_states(
    module: Any, tokens: "torch.Tensor"
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """Compute the texts' points (N D), token states (N L D) and attention mask (N L).

    States of another width than the points are projected by the tower's text projection.

    Raises:
        UnknownModel: the text tower is not of open_clip's own class, so it gives no states.
    """
    import torch

    tower = getattr(module, "text", module)
    if not hasattr(tower, "ln_final") or getattr(tower, "cls_emb", None) is not None:
        raise UnknownModel(
            f"A prior needs the token states of a text tower, but {type(tower).__name__} does not "
            "return them. Use a CLIP with open_clip's own text tower, such as ViT-B-32."
        )
    seen: list[torch.Tensor] = []
    hook = tower.ln_final.register_forward_hook(lambda *call: seen.append(call[2]))
    try:
        points = module.encode_text(tokens)
    finally:
        hook.remove()
    states = seen[0]
    if states.shape[2] != points.shape[1]:
        project = tower.text_projection
        states = states @ project if isinstance(project, torch.Tensor) else project(states)
    pooled = getattr(module, "text_pool_type", None) or tower.pool_type
    ends = tokens.argmax(1, keepdim=True)  # the end token has the highest number
    places = torch.arange(tokens.shape[1], device=tokens.device)
    mask = (places <= ends) if pooled == "argmax" else torch.ones_like(tokens, dtype=torch.bool)
    return points.float(), states.float(), mask


PRIOR_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "sample",
    "clip_sample": False,
    "timestep_spacing": "leading",
    "set_alpha_to_one": True,
}
