"""Latents: the common part of decoders on an autoencoder's latents.

It works on a checkpoint's folder in diffusers' layout; it knows no family.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer.decoder import Decoder
from explorer.device import Device
from explorer.masks import touched
from explorer.models.shared.checkpoint import read_config
from explorer.models.shared.preprocess import Preprocess
from explorer.points import Space

if TYPE_CHECKING:
    import torch

TILE = 64  # cells of a side, which is 512 pixels


class LatentDecoder(Decoder):
    """A UNet over the latents of an autoencoder.

    A family adds `condition`, `predict` and the two halves of the autoencoder, which runs in
    float32, since some overflow in float16, on one image at a time, and in tiles of it where the
    memory does not suffice and the autoencoder can.

    Args:
        folder: has the subfolders `denoiser` and `codec`.

    Raises:
        WeightsMissing: a configuration is missing.
    """

    on: Device
    codec: ClassVar[str]  # the folder of the autoencoder
    denoiser: ClassVar[str] = "unet"

    def __init__(self, folder: FilePath, space: Space, model: str, device: Device) -> None:
        self.space, self.model, self.on, self.device = space, model, device, device.name
        self.dtype = device.half
        unet, codec = (
            read_config(folder / part / "config.json") for part in (self.denoiser, self.codec)
        )
        self._channels: int = codec["latent_channels"]
        self._cell: int = 2 ** (len(codec["block_out_channels"]) - 1)  # its side in pixels
        self.image_size = (unet.get("sample_size", 128) * self._cell,) * 2

    @abstractmethod
    def _codec(self) -> Any:
        """Return the autoencoder, on the device."""

    @abstractmethod
    def encode_pixels(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Return latents 1 C h w for one image's pixels, 1 3 H W from -1 to 1."""

    @abstractmethod
    def decode_latents(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Return one image's pixels, 1 3 H W, about -1 to 1, for its latents, 1 C h w."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        width, height = self.image_size
        return (self._channels, height // self._cell, width // self._cell)

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        return mask_cells(mask, self.image_size, self.latent_shape)

    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch

        pixels = torch.from_numpy(np.stack([self.preprocess(image) for image in images])) * 2 - 1
        self._tile(self.encode_pixels, pixels)
        return torch.cat([self.encode_pixels(row) for row in pixels.to(self.device).split(1)])

    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        images = []
        self._tile(self.decode_latents, latents)
        for row in latents.split(1):
            levels = ((self.decode_latents(row)[0] + 1) * 127.5).clamp(0, 255).round().byte()
            images.append(Image.fromarray(levels.permute(1, 2, 0).cpu().numpy()))
        return images

    def _tile(self, half: "Callable[[torch.Tensor], torch.Tensor]", rows: "torch.Tensor") -> None:
        """Let a half of the autoencoder work in tiles if a whole image does not fit."""
        if self.on.limit is None:
            return
        row = rows[:1].to("meta")
        for tiled in (False, True):
            codec = self._codec()
            if hasattr(codec, "tile_latent_min_size"):
                codec.use_tiling = tiled
                codec.tile_latent_min_size = min(codec.tile_latent_min_size, TILE)
                codec.tile_sample_min_size = codec.tile_latent_min_size * self._cell
            if self.on.fits((half.__name__, row.shape, tiled), lambda: half(row)):
                return

    @property
    def preprocess(self) -> Preprocess:
        """Return the function that resizes and crops an image; its pixels are from 0 to 1."""
        width, height = self.image_size
        return Preprocess((height, width), (0.0,) * 3, (1.0,) * 3)


def mask_cells(
    mask: Image.Image, image_size: tuple[int, int], latent_shape: tuple[int, int, int]
) -> Bool[np.ndarray, "h w"]:
    """Find the cells of the latent grid that a mask overlaps, cropped to the image's proportions.

    Args:
        image_size: width and height of the images that the decoder reads.
        latent_shape: C h w.

    >>> mask = Image.new("L", (8, 4))
    >>> mask.putpixel((2, 0), 255)
    >>> mask_cells(mask, (64, 64), (3, 2, 2)).tolist()
    [[True, False], [False, False]]
    """
    scale = min(mask.width / image_size[0], mask.height / image_size[1])
    width, height = round(image_size[0] * scale), round(image_size[1] * scale)
    left, top = (mask.width - width) // 2, (mask.height - height) // 2
    return touched(mask.crop((left, top, left + width, top + height)), *latent_shape[1:])
