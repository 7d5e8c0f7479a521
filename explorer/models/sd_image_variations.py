"""Stable Diffusion Image Variations: SD 1.4 with a point of OpenAI's ViT-L/14 in place of a text.

A local folder has the layout of the repository.

Source: Pinkney 2022, as diffusers' StableDiffusionImageVariationPipeline runs it.
"""

from typing import TYPE_CHECKING, ClassVar

from explorer.device import Device
from explorer.models import Card, Model
from explorer.models.shared.clip_towers import load_towers
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.stable_diffusion import StableDiffusion
from explorer.points import Points

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

NAME = "sd-image-variations"
SPACE = "openclip:ViT-L-14/openai"
LICENCE = "CreativeML OpenRAIL-M"
RELEASE = Release(
    "lambdalabs/sd-image-variations-diffusers",
    "17e2bedc1469eab4446e3e2c0219b9e868bf0473",  # refs/pr/20: main has pickles only
    ("image_encoder/*", "feature_extractor/*", "unet/*", "scheduler/*", "vae/*"),
    4990,
    LICENCE,
)


def build(variant: str, device: Device) -> Model:
    """Load the released weights, or a folder of them.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
    """
    folder = RELEASE.folder(NAME, variant)
    encoder = load_towers(
        SPACE,
        image=folder / "image_encoder",
        text=None,
        tokenizer=None,
        preprocess=folder / "feature_extractor",
        device=device,
        text_from=SPACE,
    )
    decoder = ImageVariations(folder, encoder.space, NAME, device)
    return Model(NAME, encoder.space, encoder, decoder=decoder)


def card() -> Card:
    """Describe the checkpoint as released."""
    return released_card(NAME, SPACE, 768, LICENCE, [RELEASE])


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repository; a local folder has none."""
    return () if variant else (RELEASE,)


class ImageVariations(StableDiffusion):
    """A decoder whose cross-attention reads the point as its only token, and no words.

    The unconditional input is zeros, or the option `negative`.
    """

    choices: ClassVar = {
        "image_size": StableDiffusion.choices["image_size"],
        "negative": "negative point for guidance, instead of zeros",
    }
    steps, guidance = 50, 7.5
    negative: Points | None = None

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        z = torch.tensor(points.vectors, device=self.device)[:, None]
        away = torch.zeros_like(z)
        if self.negative is not None:
            away += torch.tensor(self.negative.vectors, device=self.device)
        return {"point": z}, {"point": away}

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        return self._network("unet")(latents, t, condition["point"].to(latents.dtype)).sample
