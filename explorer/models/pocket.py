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

from explorer.decoder import Decoder
from explorer.errors import WeightsMissing
from explorer.models import Card, Model
from explorer.models.openclip import encoder_of_folder
from explorer.models.pocket_prior import PocketPrior
from explorer.points import Points, Space

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

FOLDER = FilePath(__file__).parent.parent / "weights" / "pocket"
MANIFEST = "pocket.json"
DRAFT = "draft/model.safetensors"
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
            f"{folder} holds no weights of pocket: {MANIFEST} cannot be read ({error}). Install "
            "the package again, or make them with python -m explorer.training.pocket."
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
    """A UNet on the patches of a 64×64 picture, beside a draft that is drawn from the point.

    The point goes in twice: through the time embedding, as in the paper, and as the draft.

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
            self._folder / "unet",
            torch_dtype=getattr(torch, self.dtype),
            use_safetensors=True,
            low_cpu_mem_usage=False,
        )
        return unet.to(self.device).to(memory_format=torch.channels_last).eval()

    @cached_property
    def _draft(self) -> Any:
        from safetensors.torch import load_file

        draft = make_draft(self.space.dimension, self.latent_shape[0])
        draft.load_state_dict(load_file(self._folder / DRAFT))
        return draft.float().to(self.device).eval().requires_grad_(False)

    @cached_property
    def _normalizer(self) -> Any:
        return load_normalizer(self._folder).to(self.device)

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        z = torch.tensor(points.vectors, device=self.device)
        return self._inputs(z), self._inputs(torch.zeros_like(z))

    def _inputs(self, z: "torch.Tensor") -> "Condition":
        standardised = self._normalizer.scale(z)
        return {"z": standardised, "draft": self._draft(standardised)}

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        import torch

        z, draft = (condition[name].to(latents.dtype) for name in ("z", "draft"))
        return self._unet(torch.cat([latents, draft], 1), t, None, class_labels=z).sample

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


def make_draft(dimension: int, patch_channels: int) -> "torch.nn.Module":
    """A network from standardised points to a blurred picture as latents, N C 16 16.

    It says what belongs where, which a small UNet learns only slowly from its time embedding.
    """
    from torch import nn

    def up(inward: int, outward: int) -> list[nn.Module]:
        return [nn.Conv2d(inward, 4 * outward, 3, padding=1), nn.PixelShuffle(2), nn.SiLU()]

    return nn.Sequential(
        nn.Linear(dimension, 512),
        nn.SiLU(),
        nn.Linear(512, 96 * 16),
        nn.SiLU(),
        nn.Unflatten(1, (96, 4, 4)),
        *up(96, 64),
        *up(64, 48),
        nn.Conv2d(48, patch_channels, 3, padding=1),
    )


def load_normalizer(folder: FilePath) -> Any:
    """Mean and deviation of the training points, as Stable unCLIP keeps them."""
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )

    path = folder / "image_normalizer"
    return StableUnCLIPImageNormalizer.from_pretrained(
        path, use_safetensors=True, low_cpu_mem_usage=False
    ).requires_grad_(False)


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at that size, its shorter side cut to the middle as the encoder sees it."""
    from PIL import ImageOps

    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.BICUBIC)
