"""Patch decoder: a small unCLIP decoder on an image's patches, of pocket and of `unclip train`.

Patches are pixels, or the tokens of another codec. Its folder has `unet/`, `draft/`,
`image_normalizer/` and `scheduler/`, in diffusers' layout where there is one, and a manifest with
defaults.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from explorer.decoder import Decoder
from explorer.device import Device
from explorer.errors import WeightsMissing
from explorer.models.shared.checkpoint import MISMATCH, load_part, placed, read_config
from explorer.models.shared.preprocess import Preprocess
from explorer.points import Points, Space

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

UNET = "unet/diffusion_pytorch_model.safetensors"
DRAFT = "draft/model.safetensors"
NORMALIZER = "image_normalizer/diffusion_pytorch_model.safetensors"
CORRECTED = ("painter",)  # kinds of drafts that the UNet corrects; it gives the image beside others
GRID = 16  # patches per side of a latent, so that a larger image takes little longer


class Codec(Protocol):
    """Images as latents, and back."""

    latent_shape: tuple[int, int, int]  # C h w
    side: int  # of its images in pixels

    def encode(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Return latents N C h w for pixels N 3 side side, from 0 to 1."""

    def decode(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Return levels N 3 side side, about 0 to 255, for latents N C h w."""


class StoredCodec(Codec, Protocol):
    """A codec with weights of its own."""

    name: str  # as for `load`

    @property
    def fingerprint(self) -> str:
        """The checksum of its weights."""


class PatchCodec:
    """The codec without weights: a latent is the image in [-1, 1], patches folded into channels.

    >>> PatchCodec(64).latent_shape
    (48, 16, 16)
    """

    def __init__(self, side: int) -> None:
        self.side, self._patch = side, side // GRID
        self.latent_shape = (3 * self._patch**2, GRID, GRID)

    def encode(self, pixels: "torch.Tensor") -> "torch.Tensor":
        from torch.nn.functional import pixel_unshuffle

        return pixel_unshuffle(pixels * 2 - 1, self._patch)

    def decode(self, latents: "torch.Tensor") -> "torch.Tensor":
        from torch.nn.functional import pixel_shuffle

        return (pixel_shuffle(latents, self._patch) + 1) * 127.5


class PatchDecoder(Decoder):
    """A UNet on the patches of an image, conditioned on the point and on a draft image.

    The UNet reads the point through the time embedding, as in the paper, and a draft computed from
    it as further channels.

    Args:
        codec: None: the image in [-1, 1] with each patch folded into channels, 48×16×16 for 64×64
            pixels.

    Raises:
        WeightsMissing: it was not trained on this codec.
    """

    on: Device

    def __init__(
        self,
        folder: FilePath,
        space: Space,
        manifest: dict[str, Any],
        device: Device | str = "cpu",
        codec: StoredCodec | None = None,
    ) -> None:
        self.space, self.model, self._folder = space, manifest["model"], folder
        self.on = Device.of(device)
        self.device = self.on.name
        self.dtype = "bfloat16" if self.device.startswith("cuda") else "float32"
        self.scheduler_config = read_config(folder / "scheduler/scheduler_config.json")
        self.steps, self.guidance = manifest["steps"], manifest["guidance"]
        self.solver = manifest["solver"]
        self._draft_kind = manifest.get("draft", "plain")
        self.norms = (manifest["norm_mean"], manifest["norm_std"])
        self.fingerprint = manifest["sha256"][UNET]
        config = read_config(folder / "unet/config.json")
        cells, channels = config["sample_size"], config["out_channels"]
        self.latent_shape = (channels, cells, cells)
        self._codec: Codec = codec or PatchCodec(cells * round((channels // 3) ** 0.5))
        if codec is not None:
            both = f"{self.fingerprint} {codec.fingerprint}"
            self.fingerprint = hashlib.sha256(both.encode()).hexdigest()
        if self._codec.latent_shape != self.latent_shape:
            raise WeightsMissing(
                f"{folder} decodes to {self.latent_shape} numbers, but its codec has "
                f"{self._codec.latent_shape}. Train it again on this codec."
            )
        self.image_size = (self._codec.side, self._codec.side)
        self._preprocess = as_seen(self._codec.side, manifest.get("preprocess", {}))

    @property
    def _unet(self) -> Any:
        import torch
        from diffusers import UNet2DConditionModel

        folder = self._folder / "unet"

        def load() -> Any:
            unet = load_part(UNet2DConditionModel, folder, "cpu", self.dtype)
            return unet.to(memory_format=torch.channels_last)

        return placed(self.on, UNet2DConditionModel, folder, self.dtype, load)

    @cached_property
    def _draft(self) -> Any:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = self._folder / DRAFT
        try:
            draft = make_draft(self.space.dimension, self.latent_shape[0], self._draft_kind)
            draft.load_state_dict(load_file(file))
        except (*MISMATCH, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsMissing(f"{file} is not the draft of this decoder: {reason}") from error
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
        output = self._unet(torch.cat([latents, draft], 1), t, None, class_labels=z).sample
        return output + draft if self._draft_kind in CORRECTED else output

    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch

        pixels = np.stack([self._preprocess(image.convert("RGB")) for image in images])
        return self._codec.encode(torch.from_numpy(pixels).to(self.device))

    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        pixels = self._codec.decode(latents).clamp(0, 255).round().byte()
        return [Image.fromarray(array) for array in pixels.permute(0, 2, 3, 1).cpu().numpy()]


def as_seen(size: int, framing: dict[str, Any]) -> Preprocess:
    """Return the function from an image to 3 × size × size pixels from 0 to 1, cropped as by CLIP.

    Args:
        framing: open_clip's `resize_mode`, `interpolation` and `fill_color`, if not the defaults.
    """
    return Preprocess.from_config({"size": size, "mean": 0.0, "std": 1.0, **framing})


def make_draft(dimension: int, patch_channels: int, kind: str = "plain") -> "torch.nn.Module":
    """Construct the network from standardised points to an image as latents, N C 16 16.

    It gives the layout, which a small UNet learns only slowly from its time embedding.

    Args:
        kind: "plain", as of pocket, or "painter", which is larger.

    Raises:
        ValueError: there is no such kind.
    """
    from torch import nn

    if kind == "painter":
        from explorer.models.shared.painter import Painter

        return Painter(dimension, patch_channels)
    if kind != "plain":
        raise ValueError(f"there is no draft of the kind {kind!r}")

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
    """Load mean and standard deviation of the training points, stored as for Stable unCLIP."""
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )

    return load_part(StableUnCLIPImageNormalizer, folder / "image_normalizer", "cpu", "float32")


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize an image to cover a size, and crop its centre, as CLIP's preprocessing does."""
    from PIL import ImageOps

    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.BICUBIC)
