"""Pocket: the small CLIP, prior and unCLIP decoder that ship with this package, and always work.

The folder `explorer/weights/pocket` holds a CLIP in open_clip's layout, and a UNet, a normaliser, a
prior and a scheduler config in diffusers' layout. A folder in the same layout can stand in for it.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from explorer import sampler
from explorer.decoder import Decoder
from explorer.errors import WeightsMissing
from explorer.models import Card, Model
from explorer.models.openclip import OpenClipEncoder, encoder_of_folder
from explorer.points import Points, Space
from explorer.prior import Prior

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

FOLDER = FilePath(__file__).parent.parent / "weights" / "pocket"
MANIFEST = "pocket.json"
PATCH = 4  # a latent cell is a patch of 4×4 pixels


def build(variant: str, device: str) -> Model:
    """Load pocket, or a folder in its layout.

    Raises:
        WeightsMissing: a file is missing, or is not the one that was recorded.
    """
    folder = FilePath(variant) if variant else FOLDER
    manifest = check(folder)
    encoder = encoder_of_folder(folder, manifest["name"], device)
    prior = PocketPrior(folder / "prior", encoder, manifest)
    decoder = PocketDecoder(folder, encoder.space, manifest, device)
    return Model(manifest["name"], encoder.space, encoder, prior, decoder)


def card() -> Card:
    """Describe pocket."""
    here = (FOLDER / MANIFEST).is_file()
    size = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) / 1e6
    return {
        "name": "pocket",
        "space": "pocket",
        "dimension": json.loads((FOLDER / MANIFEST).read_text())["dimension"] if here else None,
        "decoder": True,
        "prior": True,
        "megabytes": round(size, 1) if here else None,
        "licence": "Apache-2.0",
        "weights_here": here,
    }


def check(folder: FilePath) -> dict[str, Any]:
    """Read the manifest and compare every file with its recorded sha256.

    Raises:
        WeightsMissing: a file is missing, or is not the one that was recorded.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        recorded: dict[str, str] = manifest["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise WeightsMissing(
            f"{folder} holds no weights of pocket: {MANIFEST} cannot be read ({error}). Install the "
            "package again, or make the weights with python -m explorer.training.pocket."
        ) from error
    for name, digest in recorded.items():
        file = folder / name
        if not file.is_file() or sha256(file) != digest:
            what = "differs from the one that was recorded" if file.is_file() else "is missing"
            raise WeightsMissing(f"The weights file {file} {what}. Install the package again.")
    return manifest


def sha256(file: FilePath) -> str:
    """Hex digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class PocketDecoder(Decoder):
    """A UNet on the patches of a 64×64 picture.

    The codec has no weights: a latent is the picture in [-1, 1] with each 4×4 patch folded into
    channels, 48×16×16.
    """

    def __init__(
        self, folder: FilePath, space: Space, manifest: dict[str, Any], device: str = "cpu"
    ) -> None:
        self.space, self.device, self.model = space, device, manifest["name"]
        self._folder = folder
        self.dtype = "bfloat16" if device.startswith("cuda") else "float32"
        self.scheduler_config = json.loads((folder / "scheduler/scheduler_config.json").read_text())
        self.steps, self.guidance = manifest["steps"], manifest["guidance"]
        self.solver = manifest["solver"]
        self.norms = (manifest["norm_mean"], manifest["norm_std"])
        self.fingerprint = manifest["sha256"]["unet/diffusion_pytorch_model.safetensors"]
        config = json.loads((folder / "unet/config.json").read_text())
        size = config["sample_size"]
        self.latent_shape = (config["out_channels"], size, size)
        self.image_size = (size * PATCH, size * PATCH)

    @cached_property
    def _unet(self) -> Any:
        import torch
        from diffusers import UNet2DConditionModel

        unet = UNet2DConditionModel.from_pretrained(
            self._folder / "unet", use_safetensors=True, low_cpu_mem_usage=False
        )
        dtype, layout = getattr(torch, self.dtype), torch.channels_last
        return unet.to(self.device, dtype, memory_format=layout).eval()

    @cached_property
    def _normalizer(self) -> Any:
        return load_normalizer(self._folder).to(self.device)

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        z = torch.tensor(points.vectors, device=self.device)
        scale = self._normalizer.scale
        return {"z": scale(z)}, {"z": scale(torch.zeros_like(z))}

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        return run_unet(self._unet, latents, t, condition["z"].to(latents.dtype))

    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch
        from torch.nn.functional import pixel_unshuffle

        resized = [fit(image.convert("RGB"), self.image_size) for image in images]
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in resized]))
        scaled = pixels.permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        return pixel_unshuffle(scaled, PATCH)

    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        from torch.nn.functional import pixel_shuffle

        pixels = ((pixel_shuffle(latents, PATCH) + 1) * 127.5).clamp(0, 255).round().byte()
        return [Image.fromarray(array) for array in pixels.permute(0, 2, 3, 1).cpu().numpy()]


def run_unet(unet: Any, latents: "torch.Tensor", t: "torch.Tensor", z: "torch.Tensor") -> Any:
    """Predict the picture x_0, N C h w, for standardised points z (N D).

    The point goes in twice: through the time embedding, as in the paper, and laid out over the
    latent grid beside the latents, so that a small network knows what belongs where.
    """
    import torch

    layout = unet.encoder_hid_proj(z).view(len(z), -1, *latents.shape[2:])
    beside = torch.cat([latents, layout.to(latents.dtype)], 1)
    return unet(beside, t, None, class_labels=z, added_cond_kwargs={"image_embeds": z}).sample


def load_normalizer(folder: FilePath) -> Any:
    """Mean and deviation of the training points, as Stable unCLIP keeps them."""
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    path = folder / "image_normalizer"
    return StableUnCLIPImageNormalizer.from_pretrained(
        path, use_safetensors=True, low_cpu_mem_usage=False
    ).requires_grad_(False)


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at that size, its shorter side cut to the middle as the encoder sees it."""
    from PIL import ImageOps

    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.BICUBIC)


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
        given = token_states(self._encoder.module, tokens)
        pooled, states, mask = (t.repeat_interleave(candidates, 0) for t in (x[:-1] for x in given))
        nothing = [x[-1:].expand(len(pooled), *x.shape[1:]) for x in given]
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
        some, none = dict(zip(keys, (pooled, states, mask))), dict(zip(keys, nothing))
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
