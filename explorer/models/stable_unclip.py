"""Stable unCLIP: Stable Diffusion 2.1 conditioned on points of ViT-H/14.

`stable_unclip_small` is the checkpoint for OpenAI's ViT-L/14. A local folder has the layout of the
repository.

Source: diffusers' StableUnCLIPImg2ImgPipeline; noise on a condition, Ho et al. 2021 (Cascaded
Diffusion), section 4.2.
"""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

from explorer.device import Device
from explorer.models import Card, Model
from explorer.models.shared.checkpoint import read_config
from explorer.models.shared.clip_towers import load_towers
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.stable_diffusion import StableDiffusion, weights_of
from explorer.models.shared.transformer_prior import length_statistics
from explorer.points import Points, Space
from explorer.settings import seeds_for

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

PARTS = (
    *("image_encoder/*", "feature_extractor/*", "image_normalizer/*", "image_noising_scheduler/*"),
    *("tokenizer/*", "text_encoder/*", "unet/*", "scheduler/*", "vae/*"),
)


class StableUnclip(StableDiffusion):
    """A decoder whose UNet reads a noised point and the noise level through the time embedding.

    All points get the same noise, so that images differ only because points differ. The
    unconditional input is zeros.
    """

    choices: ClassVar = StableDiffusion.choices | {
        "noise_level": "0 to 999: noise added to the point; more gives more variety",
        "noise_seed": "a whole number: the seed of that noise",
    }
    steps, guidance = 20, 10.0
    noise_level = 0
    noise_seed = 0

    def __init__(self, folder: FilePath, space: Space, model: str, device: Device) -> None:
        from safetensors.numpy import load_file

        super().__init__(folder, space, model, device)
        statistics = load_file(weights_of(folder / "image_normalizer"))
        self._mean, self._std = statistics["mean"], statistics["std"]  # 1 D
        if self._mean.any():  # the released ones for ViT-H/14 are just 0 and 1
            self.norms = length_statistics(self._mean, self._std)

    def _check_option(self, name: str, value: Any) -> None:
        if name == "noise_seed":
            seeds_for([value], 1)
        else:
            super()._check_option(name, value)

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        labels = self._labels(points)
        some, none = self._texts(len(points))
        return some | {"labels": labels}, none | {"labels": torch.zeros_like(labels)}

    def _labels(self, points: Points) -> "torch.Tensor":
        """Add noise to the points and append the embedding of the noise level: N 2D."""
        import torch
        from diffusers import DDPMScheduler
        from diffusers.models.embeddings import get_timestep_embedding

        config = read_config(self._folder / "image_noising_scheduler" / "scheduler_config.json")
        mean, std = torch.tensor(self._mean), torch.tensor(self._std)
        level = torch.full((len(points),), self.noise_level)
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(self.noise_seed))
        standard = (torch.tensor(points.vectors) - mean) / std
        noised = DDPMScheduler.from_config(config).add_noise(
            standard, noise.expand_as(standard), level
        )
        beside = get_timestep_embedding(
            level, mean.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0
        )
        return torch.cat([noised * std + mean, beside], 1).to(self.device)

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        words, labels = (condition[name].to(latents.dtype) for name in ("words", "labels"))
        return self._network("unet")(latents, t, words, class_labels=labels).sample


@dataclass(frozen=True)
class StableUnclipCheckpoint:
    """One of the two checkpoints, mirrored since Stability AI withdrew them."""

    name: str
    space: str  # the open_clip model with the same towers
    dimension: int
    release: Release

    def build(self, variant: str, device: Device) -> Model:
        """Load the released weights, or a folder of them.

        Raises:
            WeightsMissing: they are not on this machine and cannot be downloaded.
        """
        folder = self.release.folder(self.name, variant)
        encoder = load_towers(
            self.space,
            image=folder / "image_encoder",
            text=None,
            tokenizer=None,
            preprocess=folder / "feature_extractor",
            device=device,
            text_from=self.space,
        )
        decoder = StableUnclip(folder, encoder.space, self.name, device)
        return Model(self.name, encoder.space, encoder, decoder=decoder)

    def card(self) -> Card:
        """Describe the checkpoint as released."""
        return released_card(
            self.name, self.space, self.dimension, "CreativeML Open RAIL++-M", [self.release]
        )

    def releases(self, variant: str) -> tuple[Release, ...]:
        """Return the repository; a local folder has none."""
        return () if variant else (self.release,)


LARGE = StableUnclipCheckpoint(
    "stable-unclip",
    "openclip:ViT-H-14/laion2b_s32b_b79k",
    1024,
    Release("sd2-community/stable-diffusion-2-1-unclip", "main", PARTS, 7705),
)
build, card, releases = LARGE.build, LARGE.card, LARGE.releases
